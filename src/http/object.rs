//! JSON objects written member by member: what `serde_json::json!` builds as a tree of values, without the tree. For what long answers are
//! made of.

use serde::{Serialize, Serializer, ser::SerializeMap};

/// An object, to be serialized; made by [`object!`].
pub struct Object<M>(pub M);

/// A member and those behind it.
pub struct Member<V, R> {
    pub name: &'static str,
    pub value: V,
    pub rest: R,
}

/// Behind the last member.
pub struct End;

/// The members of an object, in their order.
pub trait Members {
    /// How many there are.
    const COUNT: usize;

    /// Writes them into `map`; the errors are those of its format.
    fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error>;
}

impl Members for End {
    const COUNT: usize = 0;

    fn write<M: SerializeMap>(&self, _: &mut M) -> Result<(), M::Error> {
        Ok(())
    }
}

impl<V: Serialize, R: Members> Members for Member<V, R> {
    const COUNT: usize = 1 + R::COUNT;

    fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry(self.name, &self.value)?;
        self.rest.write(map)
    }
}

impl<M: Members> Serialize for Object<M> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(M::COUNT))?;
        self.0.write(&mut map)?;
        map.end()
    }
}

/// `object!({ "name": value, … })`: an [`Object`] whose values are anything that can be serialized.
macro_rules! object {
    ({ $($members:tt)* }) => { $crate::http::object::Object($crate::http::object::object!(@ $($members)*)) };
    (@) => { $crate::http::object::End };
    (@ $name:literal: $value:expr $(, $($rest:tt)*)?) => {
        $crate::http::object::Member {
            name: $name,
            value: $value,
            rest: $crate::http::object::object!(@ $($($rest)*)?),
        }
    };
}

pub(crate) use object;

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn it_is_the_object_that_json_would_build() {
        let nested = object!({ "empty": object!({}), "list": [1, 2], });
        assert_eq!(
            serde_json::to_string(&object!({ "b": "text", "a": nested, "none": None::<i32> })).unwrap(),
            json!({ "b": "text", "a": { "empty": {}, "list": [1, 2] }, "none": null }).to_string(),
        );
    }
}
