//! Which tables of a database are a site's, when several sites share it.

use std::collections::BTreeSet;

/// The tables of other WordPress sites in the same database. A restore of one site must not turn
/// the others back.
///
/// A prefix is a site's when it has its own `options`, `posts` and `users`: the further sites of a
/// network (`wp_2_`) have no `users`. A table belongs to the site with the longest prefix it
/// begins with; one that begins with none is this site's.
#[must_use]
pub fn of_others<'a>(tables: impl Iterator<Item = &'a str> + Clone, prefix: &str) -> Vec<String> {
    let names: BTreeSet<&str> = tables.clone().collect();
    let others: Vec<&str> = names
        .iter()
        .filter_map(|name| name.strip_suffix("options"))
        .filter(|p| *p != prefix)
        .filter(|p| {
            ["posts", "users"]
                .iter()
                .all(|t| names.contains(format!("{p}{t}").as_str()))
        })
        .collect();
    let belongs_to_other = |name: &&str| {
        let longest = others
            .iter()
            .filter(|p| name.starts_with(**p))
            .map(|p| p.len())
            .max();
        match longest {
            Some(length) if name.starts_with(prefix) => length > prefix.len(),
            found => found.is_some(),
        }
    };
    tables.filter(belongs_to_other).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(prefix: &str) -> Vec<String> {
        ["options", "posts", "users", "shop_orders"]
            .map(|t| format!("{prefix}{t}"))
            .into()
    }

    fn others(tables: &[String], prefix: &str) -> Vec<String> {
        of_others(tables.iter().map(String::as_str), prefix)
    }

    #[test]
    fn a_network_of_sites_is_one_site() {
        let mut tables = site("wp_");
        tables.extend([
            "wp_2_options".into(),
            "wp_2_posts".into(),
            "plugin_log".into(),
        ]);
        assert_eq!(others(&tables, "wp_"), [""; 0]);
    }

    #[test]
    fn sites_that_share_a_database_are_kept_apart() {
        let tables = [site("wp_"), site("wp_b_"), vec!["plugin_log".into()]].concat();
        assert_eq!(others(&tables, "wp_"), site("wp_b_"));
        assert_eq!(others(&tables, "wp_b_"), site("wp_"));
        let empty = [site(""), site("x_")].concat();
        assert_eq!(others(&empty, ""), site("x_"));
        assert_eq!(others(&empty, "x_"), site(""));
    }
}
