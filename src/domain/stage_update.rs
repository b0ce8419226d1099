//! stage_update
