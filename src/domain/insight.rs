//! Insights: the facts a recommendation rests on. LC-RCM-01, LC-RCM-10, LC-RCM-11, section 5.5 of the model

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::domain::{
    definition::{InsightSetting, SignInScope},
    duration::IsoDuration,
    instance::ResourceKind,
};

/// What a recommendation can rest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsightKind {
    /// The last sign-in to the tenant.
    TenantSignIn,
    /// The last sign-in to the application under review. LC-RCM-04
    ApplicationSignIn,
    /// The place among the group's members in the tree of managers. LC-RCM-06
    Affiliation,
}

impl InsightKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::TenantSignIn, Self::ApplicationSignIn, Self::Affiliation];

    /// The stored name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TenantSignIn => "tenantSignIn",
            Self::ApplicationSignIn => "applicationSignIn",
            Self::Affiliation => "affiliation",
        }
    }

    /// Reads a stored name back.
    pub fn from_stored(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// An insight that is in force in a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageInsight {
    pub kind: InsightKind,
    /// How long somebody may have been silent; `None` means P30D. Without meaning for the affiliation. LC-RCM-03
    pub look_back: Option<IsoDuration>,
}

/// The insights in force, each once: those that `settings` asks for, each sign-in with its own look-back; or, when it asks for none,
/// the last sign-in with `look_back`.
///
/// Unasked, a review of an application looks at sign-ins to that application, any other at sign-ins to the tenant (LC-RCM-04).
/// Affiliation is for reviews of groups only and is left out elsewhere (LC-RCM-06).
pub fn insights_in_force(
    settings: &[InsightSetting],
    look_back: Option<IsoDuration>,
    resource: ResourceKind,
) -> Vec<StageInsight> {
    let of_application = resource == ResourceKind::ServicePrincipal;
    if settings.is_empty() {
        let kind = if of_application { InsightKind::ApplicationSignIn } else { InsightKind::TenantSignIn };
        return vec![StageInsight { kind, look_back }];
    }
    let mut insights = Vec::new();
    for setting in settings {
        let insight = match setting {
            InsightSetting::UserLastSignIn { look_back, sign_in_scope: SignInScope::Tenant } => {
                StageInsight { kind: InsightKind::TenantSignIn, look_back: *look_back }
            }
            InsightSetting::UserLastSignIn { look_back, sign_in_scope: SignInScope::Application } => {
                StageInsight { kind: InsightKind::ApplicationSignIn, look_back: *look_back }
            }
            InsightSetting::GroupPeerOutlier => StageInsight { kind: InsightKind::Affiliation, look_back: None },
        };
        let fits = insight.kind != InsightKind::Affiliation || resource == ResourceKind::Group;
        if fits && !insights.contains(&insight) {
            insights.push(insight);
        }
    }
    insights
}

/// What was known of somebody's sign-ins when the items were gathered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastSignIn {
    /// Known, and never signed in.
    Never,
    /// UTC.
    At(DateTime<Utc>),
}

/// One fact about an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Insight {
    /// `userSignInInsight`
    SignIn(SignInScope, LastSignIn),
    /// `membershipOutlierInsight`: the member is one.
    Outlier,
}

impl Insight {
    /// The insight's id: computed from its item's, so that it is the same whenever it is asked for.
    pub fn id(self, item: Uuid) -> Uuid {
        let mut bytes = item.into_bytes();
        bytes[0] ^= match self {
            Self::SignIn(SignInScope::Tenant, _) => 1,
            Self::SignIn(SignInScope::Application, _) => 2,
            Self::Outlier => 3,
        };
        Uuid::from_bytes(bytes)
    }
}

/// What a view shows of the facts about an item: nothing of a kind that its stage does not show, and nothing that is not known.
/// LC-RCM-10
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShownFacts {
    pub tenant_sign_in: Option<LastSignIn>,
    pub application_sign_in: Option<LastSignIn>,
    /// Whether the member stands far from the others.
    pub is_outlier: Option<bool>,
}

impl ShownFacts {
    /// The insights that tell of them. Of a member who is no outlier the product has no insight to tell.
    pub fn insights(&self) -> Vec<Insight> {
        let sign_ins =
            [(SignInScope::Tenant, self.tenant_sign_in), (SignInScope::Application, self.application_sign_in)];
        let sign_ins = sign_ins.into_iter().filter_map(|(scope, last)| Some(Insight::SignIn(scope, last?)));
        sign_ins.chain((self.is_outlier == Some(true)).then_some(Insight::Outlier)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign_in(look_back: Option<&str>, sign_in_scope: SignInScope) -> InsightSetting {
        InsightSetting::UserLastSignIn { look_back: look_back.map(|text| text.parse().unwrap()), sign_in_scope }
    }

    fn in_force(kind: InsightKind, look_back: Option<&str>) -> StageInsight {
        StageInsight { kind, look_back: look_back.map(|text| text.parse().unwrap()) }
    }

    /// LC-RCM-11
    #[test]
    fn an_insights_id_is_its_items_in_another_spelling_and_always_the_same() {
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let tenant = Insight::SignIn(SignInScope::Tenant, LastSignIn::Never);
        let application = Insight::SignIn(SignInScope::Application, LastSignIn::Never);

        for insight in [tenant, application, Insight::Outlier] {
            assert_eq!(insight.id(one), insight.id(one));
            assert_ne!(insight.id(one), insight.id(other));
            assert_ne!(insight.id(one), one);
        }
        assert_ne!(tenant.id(one), application.id(one));
        assert_ne!(application.id(one), Insight::Outlier.id(one));
    }

    /// LC-RCM-11
    #[test]
    fn nothing_known_is_no_insight_and_never_signed_in_is_one() {
        let facts =
            ShownFacts { tenant_sign_in: Some(LastSignIn::Never), application_sign_in: None, is_outlier: Some(false) };

        assert!(ShownFacts::default().insights().is_empty());
        assert_eq!(facts.insights(), [Insight::SignIn(SignInScope::Tenant, LastSignIn::Never)]);
        assert_eq!(ShownFacts { is_outlier: Some(true), ..ShownFacts::default() }.insights(), [Insight::Outlier]);
    }

    /// LC-RCM-04
    #[test]
    fn unasked_a_review_of_an_application_looks_at_sign_ins_to_it_and_any_other_at_those_to_the_tenant() {
        let look_back = Some("P10D".parse().unwrap());
        for (resource, kind) in [
            (ResourceKind::Group, InsightKind::TenantSignIn),
            (ResourceKind::DirectoryRole, InsightKind::TenantSignIn),
            (ResourceKind::AccessPackageAssignmentPolicy, InsightKind::TenantSignIn),
            (ResourceKind::ServicePrincipal, InsightKind::ApplicationSignIn),
        ] {
            assert_eq!(insights_in_force(&[], look_back, resource), [in_force(kind, Some("P10D"))]);
        }
    }

    /// LC-RCM-04, LC-RCM-06, LC-RCM-10
    #[test]
    fn what_is_asked_for_is_in_force_with_its_own_look_back_and_nothing_else() {
        let settings = [
            sign_in(None, SignInScope::Tenant),
            InsightSetting::GroupPeerOutlier,
            sign_in(Some("P7D"), SignInScope::Application),
            InsightSetting::GroupPeerOutlier,
        ];
        let look_back = Some("P60D".parse().unwrap());
        let tenant = in_force(InsightKind::TenantSignIn, None);
        let application = in_force(InsightKind::ApplicationSignIn, Some("P7D"));
        let affiliation = in_force(InsightKind::Affiliation, None);

        let of_group = insights_in_force(&settings, look_back, ResourceKind::Group);
        assert_eq!(of_group, [tenant, affiliation, application]);
        let of_application = insights_in_force(&settings, look_back, ResourceKind::ServicePrincipal);
        assert_eq!(of_application, [tenant, application], "affiliation is for groups");
        assert_eq!(insights_in_force(&settings[1..2], look_back, ResourceKind::DirectoryRole), []);
    }

    #[test]
    fn every_kind_is_read_back_from_its_stored_name() {
        for kind in InsightKind::ALL {
            assert_eq!(InsightKind::from_stored(kind.as_str()), Some(kind));
        }
        assert_eq!(InsightKind::from_stored("signIn"), None);
    }
}
