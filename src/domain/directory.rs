//! The directory as it was last told: users, groups, service principals, directory roles.
