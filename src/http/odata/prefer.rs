//! The preference for a page size. Section 8 of the OData digest

use actix_web::http::header::{HeaderMap, HeaderName};

/// The header that says which preference was followed.
pub const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// The `odata.maxpagesize` of the `Prefer` headers; the first one counts. A value that is no number from 1 on is passed over, as
/// unknown preferences are.
pub fn max_page_size(headers: &HeaderMap) -> Option<u32> {
    let preferences =
        headers.get_all("prefer").filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(','));
    preferences
        .filter_map(|preference| preference.split(';').next()?.split_once('='))
        .find(|(name, _)| {
            let name = name.trim();
            name.eq_ignore_ascii_case("odata.maxpagesize") || name.eq_ignore_ascii_case("maxpagesize")
        })
        .and_then(|(_, value)| value.trim().trim_matches('"').parse().ok())
        .filter(|size| *size > 0)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn a_page_size_is_found_among_other_preferences() {
        let size = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(HeaderName::from_static("prefer"), HeaderValue::from_static(value));
            }
            max_page_size(&headers)
        };
        assert_eq!(size(&["odata.maxpagesize=5"]), Some(5));
        assert_eq!(size(&["return=minimal, OData.MaxPageSize = \"7\"; x=y"]), Some(7));
        assert_eq!(size(&["return=minimal", "maxpagesize=9"]), Some(9));
        for nothing in ["odata.maxpagesize=0", "odata.maxpagesize=-1", "odata.maxpagesize", "", "odata.maxpagesize=x"] {
            assert_eq!(size(&[nothing]), None, "{nothing}");
        }
    }
}
