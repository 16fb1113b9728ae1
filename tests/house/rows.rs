//! A house's database, read beside its server.

use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{ConnectOptions as _, FromRow};

use super::House;

/// What a question gives once every call that is over has been written.
pub async fn rows<R>(house: &House, sql: &'static str) -> Vec<R>
where
    R: for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
{
    house.server.registry.settle().await;
    let options = SqliteConnectOptions::new().filename(house.database()).read_only(true);
    let mut database = options.connect().await.expect("a database");
    sqlx::query_as(sql).fetch_all(&mut database).await.expect("rows")
}
