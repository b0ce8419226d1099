//! The schema and a unit of work on the stock PostgreSQL image, as operators run it: over TCP, with a password, migrated by a
//! user who is not attestry's own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use attestry::{
    app::ids,
    store::{
        Lane, LaneSizes, Readiness, Store, Tenant,
        pg::{PgStore, migrate, tenants::Administration},
    },
};
use testcontainers::{
    GenericImage, ImageExt,
    core::{IntoContainerPort, WaitFor},
    runners::AsyncRunner,
};

#[tokio::test]
async fn the_service_works_on_the_stock_image() {
    let container = GenericImage::new("postgres", "15")
        .with_exposed_port(5432.tcp())
        // Twice: the first server only sets the database up.
        .with_wait_for(WaitFor::message_on_stderr("database system is ready to accept connections"))
        .with_wait_for(WaitFor::message_on_stderr("database system is ready to accept connections"))
        .with_env_var("POSTGRES_PASSWORD", "secret")
        .start()
        .await
        .unwrap();
    let port = container.get_host_port_ipv4(5432).await.unwrap();
    let url = format!("postgres://postgres:secret@127.0.0.1:{port}/postgres");

    assert!(migrate::apply(&url).await.unwrap() > 0);
    assert_eq!(migrate::apply(&url).await.unwrap(), 0);

    let tenant = ids::tenant();
    let mut administration = Administration::connect(&url).await.unwrap();
    let stored = Tenant { id: tenant, slug: "acme".to_owned(), display_name: "Acme".to_owned(), sandbox: true };
    administration.create_tenant(&stored, &ids::page_key()).await.unwrap();

    let store = PgStore::connect(&url, LaneSizes::each(1)).unwrap();
    assert_eq!(store.ready().await.unwrap(), Readiness::Ready);
    let mut uow = store.begin(tenant, Lane::Interactive).await.unwrap();
    assert_eq!(uow.tenants().current().await.unwrap().slug, "acme");
    uow.commit().await.unwrap();
    assert!(store.begin(ids::tenant(), Lane::Interactive).await.is_err(), "a tenant that does not exist has no unit of work");
}
