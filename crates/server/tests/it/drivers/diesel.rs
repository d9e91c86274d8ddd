//! Diesel over tokio-postgres, with queries that it builds and prepares itself.

use diesel::result::{DatabaseErrorKind, Error};
use diesel::{ExpressionMethods as _, Insertable, QueryDsl as _, Queryable, Selectable, SelectableHelper as _};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl as _};
use futures_util::future::try_join_all;

use crate::drivers::{CONNECTIONS, Door, same_everywhere};

diesel::table! {
    clients (id) {
        id -> BigInt,
        name -> Text,
        email -> Nullable<Text>,
        referred_by -> Nullable<BigInt>,
    }
}

diesel::table! {
    animals (id) {
        id -> BigInt,
        client_id -> BigInt,
        species_id -> SmallInt,
        name -> Text,
        neutered -> Bool,
    }
}

diesel::joinable!(animals -> clients (client_id));
diesel::allow_tables_to_appear_in_same_query!(animals, clients);

#[derive(Debug, Queryable, Selectable)]
struct Client {
    id: i64,
    name: String,
    email: Option<String>,
}

#[derive(Insertable)]
#[diesel(table_name = clients)]
struct NewClient<'a> {
    name: &'a str,
    email: Option<&'a str>,
}

#[tokio::test]
async fn diesel() {
    same_everywhere(async |door| session(door).await.map_err(|error| format!("{error:?}"))).await;
}

async fn connect(door: &Door) -> Result<AsyncPgConnection, Error> {
    AsyncPgConnection::establish(&door.url()).await.map_err(|error| Error::QueryBuilderError(error.into()))
}

async fn session(door: &Door) -> Result<Vec<String>, Error> {
    let mut client = connect(door).await?;
    Ok(vec![rows(&mut client).await?, transactions(&mut client).await?, crowd(door).await?])
}

async fn rows(client: &mut AsyncPgConnection) -> Result<String, Error> {
    let new = [
        NewClient { name: "Bia", email: Some("bia@example.com") },
        NewClient { name: "Caio", email: Some("caio@example.com") },
    ];
    let made: Vec<Client> =
        diesel::insert_into(clients::table).values(&new).returning(Client::as_returning()).get_results(client).await?;
    let owner = &made[0];
    diesel::insert_into(animals::table)
        .values((animals::client_id.eq(owner.id), animals::species_id.eq(2), animals::name.eq("Mimi")))
        .execute(client)
        .await?;
    let twice = diesel::insert_into(clients::table).values(&new[0]).execute(client).await;
    let twice = matches!(twice, Err(Error::DatabaseError(DatabaseErrorKind::UniqueViolation, _)));
    let kept = diesel::insert_into(clients::table).values(&new).on_conflict_do_nothing().execute(client).await?;
    let changed = diesel::update(clients::table.filter(clients::name.eq("Caio")))
        .set(clients::referred_by.eq(owner.id))
        .execute(client)
        .await?;
    let pets: Vec<(String, String, bool)> = animals::table
        .inner_join(clients::table)
        .filter(clients::name.eq_any(["Bia", "Caio"]))
        .select((clients::name, animals::name, animals::neutered))
        .load(client)
        .await?;
    let people = clients::table.order(clients::name).select(Client::as_select()).load(client).await?;
    let people: Vec<_> = people.iter().map(|it| (it.name.as_str(), it.email.as_deref())).collect();
    let gone = diesel::delete(clients::table.filter(clients::email.eq_any(["bia@example.com", "caio@example.com"])));
    let gone = gone.execute(client).await?;
    Ok(format!(
        "rows: twice refused {twice}, {kept} past a conflict, {changed} changed, {pets:?}, {people:?}, {gone} gone"
    ))
}

async fn transactions(client: &mut AsyncPgConnection) -> Result<String, Error> {
    let undone = client
        .transaction(async |inside| {
            diesel::delete(animals::table).execute(inside).await?;
            let nested: Result<(), Error> = inside
                .transaction(async |deeper| {
                    diesel::insert_into(clients::table).values(clients::name.eq("")).execute(deeper).await?;
                    Ok(())
                })
                .await;
            let left: i64 = animals::table.count().get_result(inside).await?;
            let check = matches!(nested, Err(Error::DatabaseError(DatabaseErrorKind::CheckViolation, _)));
            assert!(check && left == 0, "{nested:?}, {left}");
            Err::<(), _>(Error::RollbackTransaction)
        })
        .await;
    let left: i64 = animals::table.count().get_result(client).await?;
    Ok(format!("transactions: {undone:?}, {left} animals"))
}

async fn crowd(door: &Door) -> Result<String, Error> {
    let clients = try_join_all((0..CONNECTIONS * 2).map(|_| connect(door))).await?;
    let work = clients.into_iter().map(async |mut client| {
        let mut found = 0;
        for _ in 0..10 {
            let pets = animals::table.filter(animals::species_id.eq(1)).count();
            found += client.transaction(async |inside| pets.get_result::<i64>(inside).await).await?;
        }
        Ok::<i64, Error>(found)
    });
    Ok(format!("crowd: {:?}", try_join_all(work).await?))
}
