//! reviewer_reach
