//! The database's versions, each a file of `src/store/migrations` that is embedded here. A released file never changes: the database
//! remembers its checksum.
//!
//! They are listed by hand and not by a macro of sqlx, which would compile SQLite and sqlx a second time, for the compiler itself.

use std::borrow::Cow;

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// Version, description and statements; the description is the file's name without the version.
type Version = (i64, &'static str, &'static str);

const VERSIONS: [Version; 5] = [
    (1, "sessions and their news", include_str!("migrations/0001_sessions_and_their_news.sql")),
    (2, "dead letters can be asked for", include_str!("migrations/0002_dead_letters_can_be_asked_for.sql")),
    (3, "kicking rules", include_str!("migrations/0003_kicking_rules.sql")),
    (5, "channel events and attempts", include_str!("migrations/0005_channel_events_and_attempts.sql")),
    (6, "keys and lists", include_str!("migrations/0006_keys_and_lists.sql")),
];

/// Brings a database from any version to the newest.
pub(super) fn migrator() -> Migrator {
    let migration = |(version, description, sql): Version| {
        Migration::new(version, Cow::Borrowed(description), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(VERSIONS.map(migration).into())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use sha2::{Digest, Sha384};

    use super::*;

    #[test]
    fn every_file_of_the_folder_is_a_version() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/migrations");
        let mut names: Vec<String> =
            std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        let listed =
            VERSIONS.map(|(version, description, _)| format!("{version:04}_{}.sql", description.replace(' ', "_")));
        assert_eq!(names, listed);
    }

    #[test]
    fn a_database_knows_its_versions_by_their_text() {
        for (migration, (_, _, sql)) in migrator().iter().zip(VERSIONS) {
            assert_eq!(migration.checksum, Sha384::digest(sql).as_slice(), "{}", migration.description);
        }
    }
}
