//! What mails say, and what a tenant's own templates may do.

use chrono::{DateTime, Utc};

use super::{
    MailFacts, Matter, Request, built_in, check,
    facts::examples,
    render,
    templates::{MailParts, TemplateFault},
    variables,
};
use crate::domain::{
    definition::DefaultDecision,
    mail::{MailKind, OwnTemplate, Part, Purpose, REVIEWER_TEXT, Tally},
};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("an instant")
}

fn facts(kind: MailKind) -> MailFacts {
    let matter = match kind.purpose() {
        Purpose::Asks | Purpose::Reminds => Matter::Request(Request {
            asked_by: "Carla Cruz".to_owned(),
            description: Some(
                "Please keep only those who close the books.\nQuestions: <finance@acme.example>".to_owned(),
            ),
            open_items: Some(4),
            stage: if kind == MailKind::StageStarted { 2 } else { 1 },
            stage_count: if kind == MailKind::StageStarted { 3 } else { 1 },
            default_decision: DefaultDecision::Deny,
        }),
        Purpose::Reports => Matter::Outcome(Tally { kept: 12, removed: 3, dont_know: 1, not_reviewed: 2 }),
    };
    MailFacts {
        recipient: "Mia".to_owned(),
        review: "Finance & ERP, quarterly".to_owned(),
        resources: vec!["Finance <ERP>".to_owned()],
        more_resources: 0,
        ends_at: at("2026-03-16T09:00:00Z"),
        link: "https://reviews.example/v1.0/identityGovernance/accessReviews/definitions/2b7c/instances/9f01"
            .to_owned(),
        applied_automatically: kind.purpose() != Purpose::Reports,
        matter,
    }
}

fn written(kind: MailKind, facts: &MailFacts) -> MailParts {
    let (parts, fault) = render(kind, facts, None).expect("a good template");
    assert_eq!(fault, None);
    parts
}

fn with_request(change: impl FnOnce(&mut Request)) -> MailFacts {
    let mut facts = facts(MailKind::ReviewStarted);
    if let Matter::Request(request) = &mut facts.matter {
        change(request);
    }
    facts
}

fn own(part: Part, source: &str) -> OwnTemplate {
    let source = Some(source.to_owned());
    match part {
        Part::Subject => OwnTemplate { subject: source, ..OwnTemplate::default() },
        Part::Text => OwnTemplate { text: source, ..OwnTemplate::default() },
        Part::Html => OwnTemplate { html: source, ..OwnTemplate::default() },
    }
}

/// N-1 to N-7, LC-NOTE-03
#[test]
fn the_seven_mails_say_this() {
    for kind in MailKind::ALL {
        let parts = written(kind, &facts(kind));
        insta::assert_snapshot!(
            format!("{}_text", kind.key()),
            format!("Subject: {}\n\n{}", parts.subject, parts.text)
        );
        insta::assert_snapshot!(format!("{}_html", kind.key()), parts.html);
    }
}

/// LC-NOTE-06
#[test]
fn a_mail_about_several_groups_lists_them() {
    let mut facts = with_request(|request| request.open_items = None);
    facts.resources = vec!["club".to_owned(), "<lab>".to_owned(), "sales".to_owned()];
    facts.more_resources = 2;

    let parts = written(MailKind::ReviewStarted, &facts);

    assert_eq!(parts.subject, "Please review access to club and 4 more by 16 March 2026");
    assert!(parts.text.contains("Access to:\n  * club\n  * <lab>\n  * sales\n  * and 2 more\n"), "{}", parts.text);
    assert!(parts.html.contains("<li>&lt;lab&gt;</li>"), "{}", parts.html);
    assert!(!parts.text.contains("still open"), "{}", parts.text);
}

#[test]
fn wording_cannot_be_misread() {
    for kind in MailKind::ALL {
        for facts in examples(kind) {
            let MailParts { subject, text, html } = written(kind, &facts);
            for part in [&subject, &text, &html] {
                let part = part.to_lowercase();
                assert!(!part.contains("approve") && !part.contains("deny"), "{part}");
            }
            for part in [&text, &html] {
                let part = part.to_lowercase();
                assert!(part.contains("keep access") && part.contains("remove access"), "{part}");
            }
        }
    }
}

#[test]
fn what_becomes_of_items_without_an_answer_is_said() {
    for (default_decision, said) in [
        (DefaultDecision::Approve, "is set to keep access."),
        (DefaultDecision::Deny, "is set to remove access."),
        (DefaultDecision::Recommendation, "is set to what the review recommends; where it recommends nothing"),
        (DefaultDecision::None, "by the end of the review, access stays as it is."),
    ] {
        let facts = with_request(|request| request.default_decision = default_decision);
        let parts = written(MailKind::Reminder, &facts);
        assert!(parts.text.contains(said), "{}", parts.text);
    }
    let mut facts = facts(MailKind::ReviewStarted);
    for (applied_automatically, said) in
        [(true, "its results take effect automatically"), (false, "only when an administrator applies them")]
    {
        facts.applied_automatically = applied_automatically;
        let parts = written(MailKind::ReviewStarted, &facts);
        assert!(parts.text.contains(said) && parts.html.contains(said), "{}", parts.text);
    }
}

/// LC-NOTE-03
#[test]
fn a_description_is_cut_at_256_characters() {
    let facts = with_request(|request| request.description = Some("ß".repeat(REVIEWER_TEXT + 44)));
    for kind in MailKind::ALL.into_iter().filter(|kind| kind.purpose() != Purpose::Reports) {
        let parts = written(kind, &facts);
        assert_eq!((parts.text.matches('ß').count(), parts.html.matches('ß').count()), (REVIEWER_TEXT, REVIEWER_TEXT));
    }
}

#[test]
fn what_a_tenant_typed_is_neither_markup_nor_a_header() {
    for kind in MailKind::ALL {
        let mut facts = facts(kind);
        let bad = "<script>alert(\"1\")</script>\r\nBcc: everybody@acme.example {{ link }}";
        facts.review = bad.to_owned();
        facts.resources = vec![bad.to_owned()];
        facts.recipient = bad.to_owned();
        if let Matter::Request(request) = &mut facts.matter {
            request.description = Some(bad.to_owned());
            request.asked_by = bad.to_owned();
        }
        let parts = written(kind, &facts);
        assert!(!parts.subject.contains(['\r', '\n']), "{:?}", parts.subject);
        assert!(!parts.html.contains("<script"), "{}", parts.html);
        assert!(parts.text.contains("{{ link }}") && parts.html.contains("{{ link }}"), "templates do not nest");
    }
}

#[test]
fn every_mail_is_readable_on_a_phone_and_asks_for_no_image() {
    for kind in MailKind::ALL {
        let html = written(kind, &facts(kind)).html;
        assert!(html.contains("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"));
        assert!(html.contains("<meta name=\"color-scheme\" content=\"light dark\">"));
        for absent in ["<img", "<table", "url(", "width=\"", "<script", "@import"] {
            assert!(!html.contains(absent), "{}: {absent}", kind.name());
        }
    }
}

#[test]
fn a_tenants_own_parts_stand_for_the_built_in_ones() {
    let own = OwnTemplate {
        subject: Some("{{ resource|upper }} \n bis {{ ends_on }}".to_owned()),
        text: None,
        html: Some("{% extends \"layout.html\" %}{% block message %}<b>{{ resource }}</b>{% endblock %}".to_owned()),
    };
    assert_eq!(check(MailKind::Reminder, &own), []);
    let facts = facts(MailKind::Reminder);

    let (parts, fault) = render(MailKind::Reminder, &facts, Some(&own)).expect("good templates");

    assert_eq!(fault, None);
    assert_eq!(parts.subject, "FINANCE <ERP> bis 16 March 2026");
    assert_eq!(parts.text, written(MailKind::Reminder, &facts).text);
    assert!(parts.html.contains("<b>Finance &lt;ERP&gt;</b>") && parts.html.contains("viewport"), "{}", parts.html);
}

#[test]
fn what_is_read_can_be_written_back() {
    for kind in MailKind::ALL {
        let MailParts { subject, text, html } = built_in(kind);
        let own = OwnTemplate { subject: Some(subject), text: Some(text), html: Some(html) };
        assert_eq!(check(kind, &own), []);
        let facts = facts(kind);
        let (parts, fault) = render(kind, &facts, Some(&own)).expect("good templates");
        assert_eq!((parts, fault), (written(kind, &facts), None));
    }
}

#[test]
fn what_is_wrong_with_a_template_is_told_by_member_and_line() {
    for (part, source, member, told) in [
        (
            Part::Text,
            "a\nb {{ nobody }}",
            "text",
            "line 2: `nobody` is not a variable of this mail; there are recipient,",
        ),
        (Part::Text, "{{ kept }}", "text", "line 1: `kept` is not a variable of this mail"),
        (Part::Html, "<p>\n\n{% if stage %}", "html", "line 3: "),
        (Part::Subject, "{{ review | shout }}", "subject", "line 1: "),
        (Part::Text, "\n{{ review.length }}", "text", "line 2: "),
        (Part::Text, "{% include \"secrets.txt\" %}", "text", "line 1: "),
        (Part::Text, "x\n{% set a = 1 %}", "text", "line 2: {% set %} is not offered"),
        (Part::Text, "{{ review * 1000000 }}", "text", "line 1: `*` is not offered"),
        (Part::Text, "{{ review() }}", "text", "line 1: "),
        (Part::Text, "{% for a in resources recursive %}{{ loop(resources) }}{% endfor %}", "text", "line 1: "),
    ] {
        let faults = check(MailKind::Reminder, &own(part, source));
        assert_eq!(faults.len(), 1, "{source}");
        assert_eq!(faults[0].path, member);
        assert!(faults[0].reason.starts_with(told), "{source}: {}", faults[0].reason);
    }
    let both = OwnTemplate { subject: Some("{{ a }}".to_owned()), text: Some("{{ b }}".to_owned()), html: None };
    let paths: Vec<_> = check(MailKind::Reminder, &both).into_iter().map(|fault| fault.path).collect();
    assert_eq!(paths, ["subject", "text"]);
}

#[test]
fn a_template_can_neither_run_for_ever_nor_grow_without_end() {
    let digits = "[0,1,2,3,4,5,6,7,8,9]";
    let nested = |depth: usize, body: &str| {
        let begin = format!("{{% for a in {digits} %}}").repeat(depth);
        format!("{begin}{body}{}", "{% endfor %}".repeat(depth))
    };
    let endless = check(MailKind::Reminder, &own(Part::Text, &nested(9, "")));
    assert!(endless[0].reason.contains("too many steps"), "{endless:?}");
    let large = check(MailKind::Reminder, &own(Part::Text, &nested(2, &"x".repeat(4_000))));
    assert!(large[0].reason.contains("longer than"), "{large:?}");
}

/// LC-NOTE-09
#[test]
fn a_broken_template_is_passed_over_for_the_built_in_one() {
    for source in ["{{ gone }}", "{% if", "{% set a = 1 %}", "{{ resources|first|first|nothing }}"] {
        for part in [Part::Subject, Part::Text, Part::Html] {
            let facts = facts(MailKind::StageStarted);
            let (parts, fault) = render(MailKind::StageStarted, &facts, Some(&own(part, source))).expect("a mail");
            assert_eq!(parts, written(MailKind::StageStarted, &facts));
            let fault: TemplateFault = fault.expect("a fault");
            assert_eq!(fault.part, part);
            assert!(fault.to_string().starts_with(&format!("{}, line 1: ", part.member())), "{fault}");
        }
    }
}

#[test]
fn every_name_that_is_told_exists_and_no_other() {
    for kind in MailKind::ALL {
        let told: String = variables(kind).iter().map(|variable| format!("{{{{ {} }}}}\n", variable.name)).collect();
        assert_eq!(check(kind, &own(Part::Text, &told)), []);
        let values = facts(kind).values();
        let names: Vec<_> = values.try_iter().expect("a map").map(|name| name.to_string()).collect();
        assert_eq!(names.len(), variables(kind).len(), "{names:?}");
    }
}
