//! The table as CSDL 4.0, as clients of OData read it.

use std::fmt::Write;

use super::model::{Answers, ENUMERATIONS, OPERATIONS, Of, Operation, Property, TYPES, Type};

const NAMESPACE: &str = "microsoft.graph";

/// The document that `GET /v1.0/$metadata` serves. Names and members of the table need no escaping.
pub fn document() -> String {
    let mut text = String::from(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
         <edmx:Edmx Version=\"4.0\" xmlns:edmx=\"http://docs.oasis-open.org/odata/ns/edmx\">\n<edmx:DataServices>\n",
    );
    // Writing to a text never fails.
    let _written = schema(&mut text);
    text.push_str("</edmx:DataServices>\n</edmx:Edmx>\n");
    text
}

fn schema(text: &mut String) -> std::fmt::Result {
    writeln!(text, "<Schema Namespace=\"{NAMESPACE}\" xmlns=\"http://docs.oasis-open.org/odata/ns/edm\">")?;
    for enumeration in ENUMERATIONS {
        writeln!(text, "<EnumType Name=\"{}\">", enumeration.name)?;
        for (value, member) in enumeration.members.iter().enumerate() {
            writeln!(text, "<Member Name=\"{member}\" Value=\"{value}\"/>")?;
        }
        writeln!(text, "</EnumType>")?;
    }
    for kind in TYPES {
        structured(text, kind)?;
    }
    for operation in OPERATIONS {
        bound(text, operation)?;
    }
    writeln!(text, "<EntityContainer Name=\"GraphService\">")?;
    writeln!(text, "<Singleton Name=\"identityGovernance\" Type=\"{NAMESPACE}.identityGovernance\"/>")?;
    writeln!(text, "</EntityContainer>\n</Schema>")
}

fn structured(text: &mut String, kind: &Type) -> std::fmt::Result {
    let element = if kind.is_entity { "EntityType" } else { "ComplexType" };
    write!(text, "<{element} Name=\"{}\"", kind.name)?;
    if let Some(base) = kind.base {
        write!(text, " BaseType=\"{NAMESPACE}.{base}\"")?;
    }
    for (given, attribute) in [(kind.is_abstract, "Abstract"), (kind.is_open, "OpenType")] {
        if given {
            write!(text, " {attribute}=\"true\"")?;
        }
    }
    writeln!(text, ">")?;
    if kind.properties.iter().any(|property| kind.is_entity && property.name == "id") {
        writeln!(text, "<Key><PropertyRef Name=\"id\"/></Key>")?;
    }
    for property in kind.properties {
        typed(text, "Property", property)?;
    }
    for navigation in kind.navigations {
        let target = collection(navigation.many, &format!("{NAMESPACE}.{}", navigation.target));
        writeln!(text, "<NavigationProperty Name=\"{}\" Type=\"{target}\" ContainsTarget=\"true\"/>", navigation.name)?;
    }
    writeln!(text, "</{element}>")
}

fn bound(text: &mut String, operation: &Operation) -> std::fmt::Result {
    let element = match operation.answers {
        Answers::Nothing | Answers::Itself => "Action",
        Answers::Selection => "Function",
    };
    let object = format!("{NAMESPACE}.{}", operation.bound_to);
    let binding = collection(operation.to_many, &object);
    let composable = if element == "Function" { " IsComposable=\"true\"" } else { "" };
    writeln!(text, "<{element} Name=\"{}\" IsBound=\"true\"{composable}>", operation.name)?;
    writeln!(text, "<Parameter Name=\"bindingParameter\" Type=\"{binding}\"/>")?;
    for parameter in operation.parameters {
        typed(text, "Parameter", parameter)?;
    }
    match operation.answers {
        Answers::Nothing => {}
        Answers::Itself => writeln!(text, "<ReturnType Type=\"{object}\"/>")?,
        Answers::Selection => writeln!(text, "<ReturnType Type=\"{}\"/>", collection(true, &object))?,
    }
    writeln!(text, "</{element}>")
}

fn typed(text: &mut String, element: &str, property: &Property) -> std::fmt::Result {
    let kind = match property.of {
        Of::Text => "Edm.String".to_owned(),
        Of::Flag => "Edm.Boolean".to_owned(),
        Of::Integer => "Edm.Int32".to_owned(),
        Of::DateTime => "Edm.DateTimeOffset".to_owned(),
        Of::Date => "Edm.Date".to_owned(),
        Of::Duration => "Edm.Duration".to_owned(),
        Of::Enumeration(name) | Of::Complex(name) => format!("{NAMESPACE}.{name}"),
    };
    let nullable = if property.nullable { "" } else { " Nullable=\"false\"" };
    writeln!(text, "<{element} Name=\"{}\" Type=\"{}\"{nullable}/>", property.name, collection(property.many, &kind))
}

fn collection(many: bool, kind: &str) -> String {
    if many { format!("Collection({kind})") } else { kind.to_owned() }
}
