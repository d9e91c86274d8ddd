//! The sample apps come to be migration by migration, with tenants all the while. Each release is rehearsed, and refused if tables that
//! have been migrated differ from new ones.

use super::*;
use crate::bed;

async fn grows(folder: &str) {
    let bed = Bed::bare(Options::default()).await;
    let whole = bed::app(folder, &bed.app);
    let (mut migrations, seed): (Vec<AppFile>, Vec<AppFile>) =
        whole.files.into_iter().partition(|file| file.path.starts_with("migrations/"));
    migrations.sort_by(|a, b| a.path.cmp(&b.path));
    // Databases that are there get the platform's rows by a migration.
    let (global, seed): (Vec<AppFile>, Vec<AppFile>) = seed.into_iter().partition(|file| file.path.contains("/0001_"));
    let rows =
        global.into_iter().map(|file| AppFile { path: "migrations/0099_rows.sql".to_owned(), content: file.content });
    migrations.extend(rows);
    for known in 1..=migrations.len() {
        let mut files = migrations[..known].to_vec();
        if known == migrations.len() {
            files.extend(seed.clone());
        }
        let app = AddApp { manifest: whole.manifest.clone(), files };
        if known == 1 {
            bed.lifecycle().add_app(app).await.expect("the first migration alone is an app");
            for isolation in ALL {
                bed.tenant(&format!("old-{isolation}"), isolation).await;
            }
        } else {
            let done = apply(&bed, &app, json!({})).await;
            assert_eq!(done["state"], "succeeded", "{folder} at {}: {done:#}", migrations[known - 1].path);
        }
    }
    for isolation in ALL {
        bed.tenant(&format!("new-{isolation}"), isolation).await;
    }
    let (_, begun) = bed.call(Method::POST, &format!("/apps/{}/migrations/verify", bed.app), None).await;
    let verified = ended(&bed, &begun).await;
    assert_eq!(verified["steps"][0]["output"], json!({"tenants": 8, "drifted": []}), "{verified:#}");
    let told = status(&bed).await;
    assert_eq!(told["versions"][0]["tenants"], 8, "{told:#}");
    bed.close().await;
}

#[tokio::test]
async fn the_pet_shop_grows() {
    grows("petshop").await;
}

#[tokio::test]
async fn the_cameras_grow() {
    grows("vms").await;
}

#[tokio::test]
async fn the_chamber_grows() {
    grows("camara").await;
}

#[tokio::test]
async fn a_release_that_no_new_tenant_could_have_is_refused() {
    let bed = Bed::make().await;
    bed.tenant("paws", "shared").await;
    let mut app = with(&bed, &[("0005_more", "CREATE TABLE more (species_id int REFERENCES species)")]);
    let species = app.files.iter_mut().find(|file| file.path.starts_with("seed/0001")).expect("the platform's rows");
    species.content.push_str("\nINSERT INTO species (id, name) VALUES (77, 'Capybara');");
    let content = "INSERT INTO more VALUES (77);".to_owned();
    app.files.push(AppFile { path: "seed/0003_more.sql".to_owned(), content });
    let refused = apply(&bed, &app, json!({})).await;
    let error = refused["error"].to_string();
    assert!(error.contains("seed/0003_more.sql:1") && error.contains("write them in a migration"), "{error}");
    assert_eq!(refused["steps"].as_array().map(Vec::len), Some(1), "nobody has been touched: {refused:#}");

    app.files.iter_mut().find(|file| file.path.starts_with("seed/0001")).expect("still there").content =
        pet_shop(&bed.app)
            .files
            .into_iter()
            .find(|file| file.path.starts_with("seed/0001"))
            .expect("as it was")
            .content;
    let content = "INSERT INTO species (id, name) VALUES (77, 'Capybara');".to_owned();
    app.files.push(AppFile { path: "migrations/0006_rows.sql".to_owned(), content });
    assert_eq!(apply(&bed, &app, json!({})).await["state"], "succeeded");
    for isolation in ALL {
        let new = enter(&bed.tenant(&format!("new-{isolation}"), isolation).await).await;
        assert_eq!(
            rows(&new, "SELECT name FROM species JOIN more ON species_id = id").await,
            ["Capybara"],
            "{isolation}"
        );
    }
    bed.close().await;
}
