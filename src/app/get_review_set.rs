//! SET-GET: the singleton everything hangs on.

use super::{Call, Refused};
use crate::domain::authorization::require_permission;

/// The id of the set of reviews: the same in every tenant.
pub const REVIEW_SET: &str = "accessReviews";

/// Its id, for any caller with a permission on access reviews.
pub fn get_review_set(call: &Call) -> Result<&'static str, Refused> {
    require_permission(&call.caller)?;
    Ok(REVIEW_SET)
}
