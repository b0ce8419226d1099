//! The values that the tests of the rules start from: stage 2 of the worked example in the behaviour specification, which runs
//! from 2025-01-09 09:00 to 2025-01-13 09:00 in an instance from 2025-01-06 09:00 to 2025-01-16 09:00.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::domain::{
    definition::{DefaultDecision, Identity, Settings},
    ids::{DefinitionId, InstanceId, ItemPrefix, ObjectId, StageId},
    instance::{Instance, Resource, ResourceKind},
    scope::{MemberKind, ReviewScope, ScopeForm, SentScope},
    stage::{PlannedStage, Stage, StageOrdinal},
    status::Status,
};

pub fn object(number: u128) -> ObjectId {
    ObjectId::new(Uuid::from_u128(number))
}

pub fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

pub fn person(number: u128) -> Identity {
    Identity {
        id: object(number),
        display_name: format!("Person {number}"),
        user_principal_name: format!("person{number}@acme.example"),
    }
}

pub fn stage(status: Status) -> Stage {
    Stage {
        id: StageId::new(Uuid::from_u128(200)),
        instance_id: InstanceId::new(Uuid::from_u128(100)),
        definition_id: DefinitionId::new(Uuid::from_u128(100)),
        ordinal: 2,
        stage_count: 3,
        status,
        start_at: at("2025-01-09T09:00:00Z"),
        end_at: at("2025-01-13T09:00:00Z"),
        moves: Vec::new(),
        recommendations_enabled: false,
        version: 1,
    }
}

pub fn planned(ordinal: StageOrdinal, ends_after_days: u32) -> PlannedStage {
    PlannedStage {
        ordinal,
        ends_after_days,
        moves: Vec::new(),
        recommendations_enabled: false,
        insights: Vec::new(),
        reviewer_lists: Default::default(),
    }
}

pub fn settings() -> Settings {
    Settings {
        mail_notifications_enabled: false,
        reminder_notifications_enabled: false,
        justification_required_on_approval: false,
        default_decision_enabled: false,
        default_decision: DefaultDecision::None,
        instance_duration_in_days: 10,
        auto_apply_decisions_enabled: false,
        recommendations_enabled: false,
        recommendation_look_back_duration: None,
        recommendation_insight_settings: Vec::new(),
        decision_histories_for_reviewers_enabled: false,
        recurrence: None,
        apply_actions: Vec::new(),
    }
}

pub fn instance(status: Status) -> Instance {
    let group = object(90);
    Instance {
        id: InstanceId::new(Uuid::from_u128(100)),
        definition_id: DefinitionId::new(Uuid::from_u128(100)),
        occurrence: 0,
        status,
        start_at: at("2025-01-06T09:00:00Z"),
        end_at: at("2025-01-16T09:00:00Z"),
        ended_at: None,
        scope: ReviewScope {
            sent: SentScope::query(format!("/groups/{group}/transitiveMembers"), None),
            form: ScopeForm::GroupMembers { group, transitive: true, members: MemberKind::Users },
            inactivity: None,
        },
        resource: Resource {
            id: group,
            display_name: "Finance-ERP".to_owned(),
            kind: ResourceKind::Group,
            detail: None,
        },
        settings: settings(),
        multi_stage: true,
        item_count: 0,
        item_prefix: ItemPrefix::from_random_bytes([7; 16]),
        errors: Vec::new(),
        version: 1,
    }
}
