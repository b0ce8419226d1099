use std::{borrow::Cow, sync::Arc};

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::domain::{
    definition::Identity,
    history::report::{ReviewFacts, guarded},
    ids::{InstanceId, ObjectId},
    recommendation::Recommendation,
};

fn row(name: &str) -> ReportRow {
    let at = chrono::DateTime::UNIX_EPOCH;
    let review = ReviewFacts {
        instance_id: InstanceId::new(Uuid::nil()),
        series_id: None,
        resource_type: "Group".to_owned(),
        resource_name: String::new(),
        resource_id: ObjectId::NOBODY,
        review_name: String::new(),
        created_at: at,
        start_at: at,
        end_at: at,
        status: "InProgress".to_owned(),
        owner: Identity::nobody(),
    };
    ReportRow {
        review: Arc::new(review.into()),
        principal_id: ObjectId::NOBODY,
        principal_name: name.to_owned(),
        principal_detail: String::new(),
        principal_type: "user".to_owned(),
        decision: None,
        recommendation: Recommendation::NoInfoAvailable,
        application: None,
    }
}

fn pieces_of(names: &[String], rows_a_review: usize) -> (Vec<Vec<u8>>, Pieces) {
    let mut text = Pieces::new();
    let mut pieces = Vec::new();
    for names in names.chunks(rows_a_review) {
        let review = row("").review;
        for name in names {
            pieces.extend(text.push(&ReportRow { review: Arc::clone(&review), ..row(name) }));
        }
    }
    pieces.extend(text.take_rest());
    (pieces, text)
}

#[test]
fn a_report_without_rows_is_its_header() {
    let (pieces, text) = pieces_of(&[], 1);
    assert_eq!(pieces, [format!("{}\r\n", HEADER.join(",")).into_bytes()]);
    assert_eq!((text.rows, text.bytes), (0, i64::try_from(pieces[0].len()).unwrap()));
}

#[test]
fn pieces_are_of_bounded_size_and_end_with_a_row() {
    let names: Vec<_> = (0..8_000).map(|number| format!("{number}{}", "x".repeat(300))).collect();
    let (pieces, text) = pieces_of(&names, 700);
    assert!(pieces.len() > 5);
    assert!(pieces.iter().all(|piece| piece.len() < 2 * PIECE_BYTES && piece.ends_with(b"\r\n")));
    assert_eq!((text.rows, text.bytes), (8_000, i64::try_from(pieces.concat().len()).unwrap()));
}

proptest! {
    #[test]
    fn whatever_the_names_are_they_are_read_back(
        names in prop::collection::vec("[a-z,\"\n\r;ü ]{0,12}", 0..40), rows_a_review in 1..50usize,
    ) {
        let (pieces, _) = pieces_of(&names, rows_a_review);
        let text = pieces.concat();
        let mut reader = csv::Reader::from_reader(text.as_slice());
        prop_assert_eq!(reader.headers().unwrap(), &csv::StringRecord::from(HEADER.to_vec()));
        let read: Vec<_> = reader.records().map(|record| record.unwrap()[14].to_owned()).collect();
        let guarded: Vec<_> = names.into_iter().map(|name| guarded(Cow::Owned(name)).into_owned()).collect();
        prop_assert_eq!(read, guarded);
    }
}
