//! Events: the append-only record of every change. LC-AUD
