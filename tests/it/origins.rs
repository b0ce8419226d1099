//! Pages of other origins call only where that is configured.

use reqwest::{Method, header::HeaderMap};

use crate::support::Tenant;

async fn asked(t: &Tenant, method: Method, origin: &str) -> (u16, HeaderMap) {
    let request = t.as_admin().request(method, "/definitions").header("origin", origin);
    let request = request.header("access-control-request-method", "PATCH");
    let answer = request.header("access-control-request-headers", "authorization,if-match").send().await.unwrap();
    (answer.status().as_u16(), answer.headers().clone())
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_may_call_and_no_other() {
    let origins = vec!["https://admin.example".to_owned()];
    let t = Tenant::with_finance().await.set_up_with(|edge| edge.with_allowed_origins(origins));

    let (status, headers) = asked(&t, Method::OPTIONS, "https://admin.example").await;
    assert_eq!((status, &headers["access-control-allow-origin"]), (204, &"https://admin.example".parse().unwrap()));
    assert_eq!(headers["access-control-allow-headers"], "authorization,if-match");
    assert!(headers["access-control-allow-methods"].to_str().unwrap().contains("PATCH"));
    let (status, headers) = asked(&t, Method::GET, "https://admin.example").await;
    assert_eq!((status, &headers["access-control-allow-origin"]), (200, &"https://admin.example".parse().unwrap()));
    assert!(headers["vary"].to_str().unwrap().contains("Origin"));

    for other in ["https://admin.example.evil", "null", "http://admin.example"] {
        for method in [Method::OPTIONS, Method::GET] {
            assert!(!asked(&t, method, other).await.1.contains_key("access-control-allow-origin"), "{other}");
        }
    }
}
