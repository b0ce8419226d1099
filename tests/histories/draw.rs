//! Drawing histories: which commands there are how often.

use attestry::domain::decision::Verdict;
use proptest::prelude::*;

use super::{
    command::{Caller, Command, Deed, DraftChange, NewList, Span, Target},
    company::any_change,
    faults::Fault,
    postbox::Server,
    review::{any_draft, any_reviewers},
};

fn any_target() -> impl Strategy<Value = Target> {
    let stage = prop_oneof![3 => Just(None), 2 => (0_u8..4).prop_map(Some)];
    (any::<u8>(), stage).prop_map(|(instance, stage)| Target { instance, stage })
}

/// Mostly reviewers, so that histories get anywhere.
fn any_reviewer() -> impl Strategy<Value = Caller> {
    prop_oneof![
        10 => (0_u8..4).prop_map(Caller::Reviewer),
        2 => (0_u8..8).prop_map(Caller::Person),
        1 => Just(Caller::Admin),
        1 => Just(Caller::Application),
    ]
}

fn any_admin() -> impl Strategy<Value = Caller> {
    prop_oneof![
        12 => Just(Caller::Admin),
        1 => (0_u8..4).prop_map(Caller::Reviewer),
        1 => (0_u8..8).prop_map(Caller::Person),
        1 => Just(Caller::Application),
    ]
}

fn any_verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        3 => Just(Verdict::Approve),
        4 => Just(Verdict::Deny),
        2 => Just(Verdict::DontKnow),
        1 => Just(Verdict::NotReviewed),
    ]
}

fn any_list() -> impl Strategy<Value = NewList> {
    prop_oneof![
        2 => Just(NewList::Omit),
        2 => any_reviewers().prop_map(NewList::Replace),
        4 => any_reviewers().prop_map(NewList::Grow),
    ]
}

fn any_draft_change() -> impl Strategy<Value = DraftChange> {
    prop_oneof![
        4 => any_draft().prop_map(DraftChange::Take),
        4 => (1_i64..5).prop_map(DraftChange::Occurrences),
        2 => any::<bool>().prop_map(DraftChange::Reminders),
        1 => Just(DraftChange::Nothing),
    ]
}

fn any_decision() -> impl Strategy<Value = Deed> {
    let (reviewer, target) = (any_reviewer(), any_target());
    (reviewer, target, 0_u8..8, any_verdict(), prop::bool::weighted(0.8))
        .prop_map(|(by, target, item, verdict, justified)| Deed::Decide { by, target, item, verdict, justified })
}

fn any_deed() -> impl Strategy<Value = Deed> {
    let justified = || prop::bool::weighted(0.8);
    let batch = (
        any_reviewer(),
        any_target(),
        any_verdict(),
        justified(),
        prop::option::of(0_u8..8),
        prop::bool::weighted(0.1),
    );
    let update = (any_admin(), any_target(), any_list(), any_list());
    let admin = || (any_admin(), any_target());
    prop_oneof![
        20 => any_decision(),
        4 => batch.prop_map(|(by, target, verdict, justified, principal, elsewhere)| {
            Deed::Batch { by, target, verdict, justified, principal, elsewhere }
        }),
        3 => (any_reviewer(), any_target()).prop_map(|(by, target)| Deed::Accept { by, target }),
        2 => admin().prop_map(|(by, target)| Deed::Reset { by, target }),
        6 => update.prop_map(|(by, target, reviewers, fallbacks)| Deed::Update { by, target, reviewers, fallbacks }),
        3 => admin().prop_map(|(by, target)| Deed::StopStage { by, target }),
        2 => admin().prop_map(|(by, target)| Deed::StopInstance { by, target }),
        3 => (any_admin(), any_target(), any_draft_change())
            .prop_map(|(by, target, change)| Deed::UpdateDefinition { by, target, change }),
        1 => admin().prop_map(|(by, target)| Deed::Delete { by, target }),
        3 => admin().prop_map(|(by, target)| Deed::Apply { by, target }),
        2 => admin().prop_map(|(by, target)| Deed::Remind { by, target }),
        1 => any_draft().prop_map(Deed::Create),
        12 => any::<u8>().prop_map(Deed::Work),
    ]
}

/// Two that have to do with each other, more often than any two: an answer and what ends its stage, two that
/// end it, two changes of reviewers.
fn any_two() -> impl Strategy<Value = (Deed, Deed)> {
    let target = || (any::<u8>(), Just(None)).prop_map(|(instance, stage)| Target { instance, stage });
    let end = || {
        prop_oneof![
            3 => target().prop_map(|target| Deed::StopStage { by: Caller::Admin, target }),
            3 => target().prop_map(|target| Deed::StopInstance { by: Caller::Admin, target }),
            3 => any::<u8>().prop_map(Deed::Work),
            1 => target().prop_map(|target| Deed::Reset { by: Caller::Admin, target }),
            1 => target().prop_map(|target| Deed::Delete { by: Caller::Admin, target }),
        ]
    };
    let growth = || {
        (target(), any_reviewers()).prop_map(|(target, fallbacks)| Deed::Update {
            by: Caller::Admin,
            target,
            reviewers: NewList::Omit,
            fallbacks: NewList::Grow(fallbacks),
        })
    };
    prop_oneof![
        4 => (any_deed(), any_deed()),
        6 => (any_decision(), end()),
        4 => (end(), end()),
        2 => (growth(), growth()),
    ]
}

/// Most acts take some twenty steps, half of them before they write.
fn any_lead() -> impl Strategy<Value = usize> {
    prop_oneof![3 => 2_usize..22, 1 => 0_usize..60]
}

fn any_span() -> impl Strategy<Value = Span> {
    prop_oneof![
        3 => (0_i64..30).prop_map(Span::Hours),
        1 => (30_i64..24 * 20).prop_map(Span::Hours),
        // Long enough for a blocked account to be deleted.
        1 => (24_i64 * 29..24 * 32).prop_map(Span::Hours),
        3 => (-1_i64..=1).prop_map(Span::ToNext),
    ]
}

/// Most acts have one commit, few have three.
fn any_fault() -> impl Strategy<Value = Fault> {
    (prop_oneof![6 => Just(0), 2 => Just(1), 1 => Just(2)], any::<bool>())
        .prop_map(|(after, happened)| Fault { after, happened })
}

fn any_server() -> impl Strategy<Value = Server> {
    prop_oneof![
        4 => Just(Server::Works),
        3 => Just(Server::Busy),
        1 => Just(Server::Refuses),
        2 => Just(Server::HangsUp),
    ]
}

fn any_command() -> impl Strategy<Value = Command> {
    prop_oneof![
        44 => any_deed().prop_map(Command::Do),
        10 => (any_deed(), 1_usize..70, any::<bool>())
            .prop_map(|(deed, polls, at_once)| Command::Crash { deed, polls, at_once }),
        5 => (any_deed(), any_fault()).prop_map(|(deed, fault)| Command::Fault { deed, fault }),
        3 => any_server().prop_map(Command::Server),
        14 => (any_two(), any_lead()).prop_map(|((first, second), lead)| Command::Race { first, second, lead }),
        3 => (any::<u8>(), any_lead()).prop_map(|(which, lead)| Command::Twice { which, lead }),
        8 => any_span().prop_map(Command::Wait),
        14 => any_span().prop_map(Command::Live),
        9 => any_change().prop_map(Command::Change),
        2 => any::<u8>().prop_map(Command::Spare),
    ]
}

/// A history begins with a review, and mostly with its start.
pub fn any_history() -> impl Strategy<Value = Vec<Command>> {
    let start = prop_oneof![
        8 => Just(vec![Command::Live(Span::ToNext(0))]),
        1 => (1_i64..24 * 9).prop_map(|hours| vec![Command::Wait(Span::Hours(hours))]),
        1 => Just(Vec::new()),
    ];
    // In this order they are made smaller.
    let death = prop::option::weighted(0.1, (1_usize..90, any::<bool>()));
    (prop::collection::vec(any_command(), 0..26), start, death, any_draft()).prop_map(|(rest, start, death, draft)| {
        let create = Deed::Create(draft);
        let died = death.map(|(polls, at_once)| Command::Crash { deed: create.clone(), polls, at_once });
        died.into_iter().chain([Command::Do(create.clone())]).chain(start).chain(rest).collect()
    })
}
