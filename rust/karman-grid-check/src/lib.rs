//! Independent checker: judges a plain trace without knowing core or twin.
