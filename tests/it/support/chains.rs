//! What the events tell of statuses, against what is stored.

use std::collections::BTreeMap;

use attestry::domain::status::Status;
use serde_json::{Value, json};

use super::Database;

/// From the events of a tenant: every instance and stage walked one chain of allowed steps and stands where its chain ends, no
/// step came twice, and no instance has two open stages.
pub async fn assert_one_chain_of_statuses_each(database: &Database, tenant: &str) {
    let events: Vec<Value> = database
        .rows(&format!(
            "select to_jsonb(e) as row from events e where tenant_id = '{tenant}' and activity in
                 ('Stage created', 'Stage status changed', 'Instance status changed') order by event_id"
        ))
        .await;
    let mut stages = BTreeMap::<String, String>::new();
    let mut instances = BTreeMap::<String, String>::new();
    for event in events {
        let of_stage = event["activity"] != "Instance status changed";
        let (chains, id) = match of_stage {
            true => (&mut stages, &event["stage_id"]),
            false => (&mut instances, &event["instance_id"]),
        };
        let to = event["after"]["status"].as_str().unwrap().to_owned();
        let before = chains.insert(id.as_str().unwrap().to_owned(), to.clone());
        assert_eq!(before.as_deref(), event["before"]["status"].as_str(), "{event:#}");
        if let Some(before) = before {
            let (before, to): (Status, Status) = (before.parse().unwrap(), to.parse().unwrap());
            assert!(if of_stage { before.stage_may_become(to) } else { before.instance_may_become(to) }, "{event:#}");
        }
    }
    for (table, key, chains) in [("stages", "stage_id", stages), ("instances", "instance_id", instances)] {
        let sql = format!(
            "select jsonb_build_array({key}, status) as row from {table} where tenant_id = '{tenant}' order by {key}"
        );
        let stored = database.rows(&sql).await;
        let told: Vec<_> = chains.into_iter().map(|(id, status)| json!([id, status])).collect();
        assert_eq!(stored, told, "{table}");
    }
    let two_open = format!(
        "select to_jsonb(instance_id) as row from stages where tenant_id = '{tenant}' and status in
             ('Initializing', 'Starting', 'InProgress', 'Completing') group by instance_id having count(*) > 1"
    );
    assert!(database.rows(&two_open).await.is_empty());
}
