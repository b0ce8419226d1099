//! Recommendations from the last sign-in and from the place among a group's members. LC-RCM-01 to 05, LC-RCM-08 to 10
//!
//! Who stands far from the other members is [`crate::domain::affiliation`].

use chrono::{DateTime, Utc};

use crate::domain::{
    decision::Verdict,
    definition::Settings,
    duration::IsoDuration,
    insight::{InsightKind, StageInsight, insights_in_force},
    instance::ResourceKind,
    stage::PlannedStage,
};

/// What the system would decide. The wire spelling is the variant's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recommendation {
    NoInfoAvailable,
    Approve,
    Deny,
}

impl Recommendation {
    /// Every value, in the order of the stored codes.
    pub const ALL: [Self; 3] = [Self::NoInfoAvailable, Self::Approve, Self::Deny];

    /// The wire spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoInfoAvailable => "NoInfoAvailable",
            Self::Approve => "Approve",
            Self::Deny => "Deny",
        }
    }

    /// The stored code: one small number per stage and item.
    pub const fn code(self) -> i16 {
        match self {
            Self::NoInfoAvailable => 0,
            Self::Approve => 1,
            Self::Deny => 2,
        }
    }

    /// Reads a stored code back.
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|recommendation| recommendation.code() == code)
    }

    /// The decision it recommends; `None` without information.
    pub const fn as_verdict(self) -> Option<Verdict> {
        match self {
            Self::NoInfoAvailable => None,
            Self::Approve => Some(Verdict::Approve),
            Self::Deny => Some(Verdict::Deny),
        }
    }
}

/// What the directory knows of somebody's activity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInActivity {
    /// No data source, or not a user. LC-RCM-09
    Unknown,
    /// Known, and never signed in.
    Never { account_created_at: Option<DateTime<Utc>> },
    /// The last sign-in, interactive or not. LC-RCM-04
    Last(DateTime<Utc>),
}

/// The instant before which silence means `Deny`: the instance's start less the look-back (default P30D). LC-RCM-03
pub fn inactivity_cutoff(instance_start: DateTime<Utc>, look_back: Option<&IsoDuration>) -> DateTime<Utc> {
    look_back.unwrap_or(&IsoDuration::DEFAULT_LOOK_BACK).before(instance_start)
}

/// The inactivity rule; exactly on the boundary is active. LC-RCM-03, LC-RCM-05
///
/// `store/pg` computes the same set-wise when an instance opens; a test holds the two together.
pub fn from_last_sign_in(activity: SignInActivity, cutoff: DateTime<Utc>) -> Recommendation {
    match activity {
        SignInActivity::Unknown => Recommendation::NoInfoAvailable,
        SignInActivity::Last(at) if at < cutoff => Recommendation::Deny,
        SignInActivity::Last(_) => Recommendation::Approve,
        SignInActivity::Never { account_created_at: Some(created) } if created < cutoff => Recommendation::Deny,
        SignInActivity::Never { .. } => Recommendation::NoInfoAvailable,
    }
}

/// What is recommended of a member of a group; `None` when he cannot be compared. LC-RCM-06
pub fn from_affiliation(is_outlier: Option<bool>) -> Recommendation {
    match is_outlier {
        None => Recommendation::NoInfoAvailable,
        Some(true) => Recommendation::Deny,
        Some(false) => Recommendation::Approve,
    }
}

/// Several insights make one recommendation: any `Deny` is `Deny`, else any `Approve` is `Approve`. LC-RCM-08
pub fn combine(recommendations: impl IntoIterator<Item = Recommendation>) -> Recommendation {
    recommendations
        .into_iter()
        .max_by_key(|recommendation| recommendation.code())
        .unwrap_or(Recommendation::NoInfoAvailable)
}

/// One of the rules that make a recommendation together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecommendationRule {
    /// [`from_last_sign_in`], to the tenant.
    TenantSignIn { cutoff: DateTime<Utc> },
    /// [`from_last_sign_in`], to the application under review.
    ApplicationSignIn { cutoff: DateTime<Utc> },
    /// [`from_affiliation`]
    Affiliation,
}

fn rules(insights: &[StageInsight], instance_start: DateTime<Utc>) -> Vec<RecommendationRule> {
    let rule = |insight: &StageInsight| {
        let cutoff = inactivity_cutoff(instance_start, insight.look_back.as_ref());
        match insight.kind {
            InsightKind::TenantSignIn => RecommendationRule::TenantSignIn { cutoff },
            InsightKind::ApplicationSignIn => RecommendationRule::ApplicationSignIn { cutoff },
            InsightKind::Affiliation => RecommendationRule::Affiliation,
        }
    };
    insights.iter().map(rule).collect()
}

/// The rules of each stage in its order, then those of the default decision; no rule is no information. LC-RCM-10
///
/// The default decision follows the last stage that shows recommendations; where none does, it recommends by the settings of the
/// review all the same. LC-CMP-06
pub fn rules_of_instance(
    planned: &[PlannedStage],
    settings: &Settings,
    resource: ResourceKind,
    instance_start: DateTime<Utc>,
) -> Vec<Vec<RecommendationRule>> {
    let shown = |stage: &PlannedStage| match stage.recommendations_enabled {
        true => rules(&stage.insights, instance_start),
        false => Vec::new(),
    };
    let own = || {
        let look_back = settings.recommendation_look_back_duration;
        rules(&insights_in_force(&settings.recommendation_insight_settings, look_back, resource), instance_start)
    };
    let last_shown = planned.iter().rfind(|stage| stage.recommendations_enabled).map(shown);
    planned.iter().map(shown).chain(std::iter::once(last_shown.unwrap_or_else(own))).collect()
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::domain::{
        definition::InsightSetting,
        examples::{at, planned, settings},
    };

    /// LC-RCM-08
    #[test]
    fn one_deny_outweighs_every_approve_and_one_approve_every_silence() {
        use Recommendation::{Approve, Deny, NoInfoAvailable};
        for one in Recommendation::ALL {
            for other in Recommendation::ALL {
                let expected = match (one, other) {
                    (Deny, _) | (_, Deny) => Deny,
                    (Approve, _) | (_, Approve) => Approve,
                    (NoInfoAvailable, NoInfoAvailable) => NoInfoAvailable,
                };
                assert_eq!(combine([one, other]), expected);
            }
        }
        assert_eq!(combine([]), NoInfoAvailable);
    }

    /// LC-RCM-06
    #[test]
    fn an_outlier_is_to_be_denied_and_who_cannot_be_compared_is_no_information() {
        assert_eq!(from_affiliation(Some(true)), Recommendation::Deny);
        assert_eq!(from_affiliation(Some(false)), Recommendation::Approve);
        assert_eq!(from_affiliation(None), Recommendation::NoInfoAvailable);
    }

    fn showing(ordinal: i16, kind: InsightKind, look_back: &str) -> PlannedStage {
        let insights = vec![StageInsight { kind, look_back: Some(look_back.parse().unwrap()) }];
        PlannedStage { recommendations_enabled: true, insights, ..planned(ordinal, 3) }
    }

    /// LC-RCM-10, LC-CMP-06
    #[test]
    fn each_stage_has_its_own_rules_and_the_default_decision_those_of_the_last_stage_that_shows_any() {
        let start = at("2025-03-31T09:00:00Z");
        let stages = [
            showing(1, InsightKind::TenantSignIn, "P10D"),
            showing(2, InsightKind::Affiliation, "P20D"),
            PlannedStage { recommendations_enabled: false, ..showing(3, InsightKind::TenantSignIn, "P30D") },
        ];
        let first = vec![RecommendationRule::TenantSignIn { cutoff: at("2025-03-21T09:00:00Z") }];
        let second = vec![RecommendationRule::Affiliation];

        let rules = rules_of_instance(&stages, &settings(), ResourceKind::Group, start);

        assert_eq!(rules, [first, second.clone(), Vec::new(), second]);
    }

    /// LC-CMP-06
    #[test]
    fn where_no_stage_shows_recommendations_the_default_decision_has_those_of_the_settings() {
        let start = at("2025-03-31T09:00:00Z");
        let hidden = PlannedStage { recommendations_enabled: false, ..showing(1, InsightKind::Affiliation, "P10D") };
        let mut settings = settings();
        let of = |settings: &Settings, resource| {
            rules_of_instance(std::slice::from_ref(&hidden), settings, resource, start).pop().unwrap()
        };
        let cutoff = at("2025-03-01T09:00:00Z");

        assert_eq!(of(&settings, ResourceKind::Group), [RecommendationRule::TenantSignIn { cutoff }]);
        assert_eq!(of(&settings, ResourceKind::ServicePrincipal), [RecommendationRule::ApplicationSignIn { cutoff }]);
        settings.recommendation_insight_settings = vec![InsightSetting::GroupPeerOutlier];
        assert_eq!(of(&settings, ResourceKind::Group), [RecommendationRule::Affiliation]);
        assert_eq!(of(&settings, ResourceKind::DirectoryRole), []);
    }

    /// LC-RCM-03
    #[test]
    fn silence_counts_from_the_look_back_before_the_instances_start_and_thirty_days_by_default() {
        let start = at("2025-03-31T09:00:00Z");
        let cutoff = |look_back: Option<&str>| {
            inactivity_cutoff(start, look_back.map(|text| text.parse::<IsoDuration>().unwrap()).as_ref())
        };

        assert_eq!(cutoff(None), at("2025-03-01T09:00:00Z"));
        assert_eq!(cutoff(Some("P30D")), cutoff(None));
        assert_eq!(cutoff(Some("P1M")), at("2025-02-28T09:00:00Z"));
        assert_eq!(cutoff(Some("PT0S")), start);
    }

    /// LC-RCM-03, LC-RCM-05
    #[test]
    fn a_sign_in_exactly_on_the_boundary_is_active() {
        let cutoff = at("2025-03-01T09:00:00Z");
        let tick = TimeDelta::microseconds(1);
        let judged = |last| from_last_sign_in(SignInActivity::Last(last), cutoff);

        assert_eq!(judged(cutoff), Recommendation::Approve);
        assert_eq!(judged(cutoff + tick), Recommendation::Approve);
        assert_eq!(judged(cutoff - tick), Recommendation::Deny);
    }

    /// LC-RCM-05
    #[test]
    fn who_never_signed_in_is_inactive_only_if_the_account_is_older_than_the_look_back() {
        let cutoff = at("2025-03-01T09:00:00Z");
        let judged = |account_created_at| from_last_sign_in(SignInActivity::Never { account_created_at }, cutoff);

        assert_eq!(judged(Some(cutoff - TimeDelta::microseconds(1))), Recommendation::Deny);
        assert_eq!(judged(Some(cutoff)), Recommendation::NoInfoAvailable);
        assert_eq!(judged(None), Recommendation::NoInfoAvailable);
    }

    /// LC-RCM-05, LC-RCM-09
    #[test]
    fn nothing_is_recommended_without_information() {
        let cutoff = at("2025-03-01T09:00:00Z");

        assert_eq!(from_last_sign_in(SignInActivity::Unknown, cutoff), Recommendation::NoInfoAvailable);
        assert_eq!(Recommendation::NoInfoAvailable.as_verdict(), None);
    }

    #[test]
    fn every_recommendation_is_read_back_from_its_code() {
        for recommendation in Recommendation::ALL {
            assert_eq!(Recommendation::from_code(recommendation.code()), Some(recommendation));
        }
        assert_eq!(Recommendation::from_code(3), None);
    }
}
