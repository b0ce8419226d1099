//! What of the template language a tenant may use. Whoever writes a template for his tenant must not be able to use up the memory of
//! a service that serves others: what can build large values (assignments, macros, arithmetic, concatenation, calls) is not there.
//! What is left can only repeat its own text, and that is counted while it is rendered.

/// Statements that may be used.
const STATEMENTS: [&str; 10] =
    ["if", "elif", "else", "endif", "for", "endfor", "block", "endblock", "extends", "include"];

/// What stands between one pair of delimiters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Code<'a> {
    /// Where it begins, from 1.
    pub line: usize,
    /// Names and keywords in it; those after a dot are left out, texts in quotes too.
    pub words: Vec<&'a str>,
}

/// Something that is not offered, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NotOffered {
    /// From 1.
    pub line: usize,
    pub reason: String,
}

/// The code of a template, in order. What is no well-formed code is left to the parser of the templates, which knows it better.
pub(super) fn code(source: &str) -> Result<Vec<Code<'_>>, NotOffered> {
    let mut found = Vec::new();
    let mut line = 1;
    let mut rest = source;
    while let Some(start) = rest.find('{') {
        line += newlines(&rest[..start]);
        rest = &rest[start..];
        let end = match rest.as_bytes().get(1) {
            Some(b'{') => "}}",
            Some(b'%') => "%}",
            Some(b'#') => {
                let length = rest.find("#}").map_or(rest.len(), |end| end + 2);
                line += newlines(&rest[..length]);
                rest = &rest[length..];
                continue;
            }
            Some(_) | None => {
                rest = &rest[1..];
                continue;
            }
        };
        let inside = &rest[2..];
        let (words, length) = read(inside, end).map_err(|reason| NotOffered { line, reason })?;
        if end == "%}"
            && let Some(statement) = words.first().filter(|word| !STATEMENTS.contains(word))
        {
            let reason = format!("{{% {statement} %}} is not offered; there are {}", STATEMENTS.join(", "));
            return Err(NotOffered { line, reason });
        }
        found.push(Code { line, words });
        line += newlines(&inside[..length]);
        rest = &inside[length..];
    }
    Ok(found)
}

fn newlines(text: &str) -> usize {
    text.matches('\n').count()
}

/// The words up to and with `end`, and how many bytes that is.
fn read<'a>(inside: &'a str, end: &str) -> Result<(Vec<&'a str>, usize), String> {
    let mut words = Vec::new();
    let mut position = 0;
    let mut after_dot = false;
    while let Some(letter) = inside[position..].chars().next() {
        let rest = &inside[position..];
        // A dash before the end takes the white space behind it away.
        if rest.starts_with(end) {
            return Ok((words, position + end.len()));
        }
        match letter {
            '"' | '\'' => position += quoted(rest, letter).ok_or("a text in quotes does not end")?,
            letter if letter.is_alphanumeric() || letter == '_' => {
                let length = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(rest.len());
                if !after_dot && !letter.is_numeric() {
                    words.push(&rest[..length]);
                }
                position += length;
            }
            '.' | '|' | '(' | ')' | '[' | ']' | ',' | '<' | '>' | '=' | '!' | '-' => position += 1,
            letter if letter.is_whitespace() => {
                position += letter.len_utf8();
                continue;
            }
            other => {
                return Err(format!("`{other}` is not offered between {{{{ and }}}}: there is no arithmetic"));
            }
        }
        after_dot = letter == '.';
    }
    Err(format!("there is no {end}"))
}

/// The length of a text in quotes, with both.
fn quoted(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (position, letter) in text.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            letter if letter == quote => return Some(position + quote.len_utf8()),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_found_with_its_line_and_its_words() {
        let source = "a { b\n{{ review }}{# {{ not }}\n #}\n<style>p { x: * }</style>{% if a.b|length == \"}} c\" -%}x{% endif %}";
        let code = code(source).expect("all of it is offered");
        let found: Vec<_> = code.iter().map(|code| (code.line, code.words.clone())).collect();
        assert_eq!(found, [(2, vec!["review"]), (4, vec!["if", "a", "length"]), (4, vec!["endif"])]);
    }

    #[test]
    fn what_could_build_large_values_is_not_offered() {
        for (line, source) in [
            (1, "{{ \"x\" * 100000000 }}"),
            (1, "{{ '}}' * 9 }}"),
            (2, "\n{% set a = b %}"),
            (2, "\n{%- set a = b %}"),
            (1, "{% macro a() %}{% endmacro %}"),
            (1, "{% raw %}{{ a }}{% endraw %}"),
            (1, "{% filter upper %}a{% endfilter %}"),
            (1, "{%with a = b%}{%endwith%}"),
            (1, "{{ a ~ a }}"),
            (1, "{{ a + a }}"),
            (1, "{{ {'a': 1} }}"),
            (1, "{{ 'a }}"),
            (1, "{{ a"),
        ] {
            assert_eq!(code(source).expect_err(source).line, line, "{source}");
        }
    }
}
