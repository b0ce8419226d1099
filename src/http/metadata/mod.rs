//! What the service offers, described for machines: one table of types, from which both `GET /v1.0/$metadata` and the schemas of
//! the API document are made. Sections 1 to 7 of the model.

pub mod csdl;
pub mod model;
pub mod schemas;
