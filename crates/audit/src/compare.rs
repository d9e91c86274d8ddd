//! Attacks that watch: counters, sizes, estimates and sequences that move with somebody else's work.

use domain::Isolation;

use crate::AuditError;
use crate::attack::{Accept, Attack, Deed, Door};
use crate::heard::Heard;
use crate::judge::{self, Fault};
use crate::scene::Scene;
use crate::trial::{Attacker, Manner, Outcome};

/// What was seen before the victim worked.
struct Before {
    told: Vec<Heard>,
    /// The same steps seen by somebody who sees everything.
    shown: Vec<Option<String>>,
}

/// Lets the attacker look, the victim work, and the attacker look again; all attacks at once, since the work takes time.
pub(crate) async fn watch(scene: &Scene, attacks: &[&Attack], door: Door) -> Result<Vec<Outcome>, AuditError> {
    let mut before = Vec::new();
    for attack in attacks {
        before.push(Before { told: look(scene, attack, door).await?, shown: shown(scene, attack).await });
    }
    scene.stir().await?;
    let mut outcomes = Vec::new();
    for (attack, before) in attacks.iter().zip(before) {
        let after = look(scene, attack, door).await?;
        let mut faults = judge::steps(attack, scene, door, true, &after);
        let moved = moved(scene, attack, door, &before.told, &after);
        let silent = !moved && after.iter().all(|heard| heard.state().is_none());
        if moved {
            let [was, is] =
                [&before.told, &after].map(|told| told.iter().map(Heard::summary).collect::<Vec<_>>().join(" / "));
            faults.push(Fault::escape(format!("the victim's work shows: {was}, then {is}")));
        } else if silent && shares_database(scene) && shown(scene, attack).await == before.shown {
            faults.push(Fault::astray("it proves nothing: the victim's work shows to nobody here".to_owned()));
        }
        outcomes.push(Outcome { attempts: 1, faults, skipped: None });
    }
    Ok(outcomes)
}

fn shares_database(scene: &Scene) -> bool {
    matches!(scene.isolation(), Isolation::Shared | Isolation::Schema)
}

async fn look(scene: &Scene, attack: &Attack, door: Door) -> Result<Vec<Heard>, AuditError> {
    let mut attacker = Attacker::new(scene, scene.attacker_entry(door), scene.names().clone());
    Ok(attacker.perform(attack, Manner::Plain).await?)
}

async fn shown(scene: &Scene, attack: &Attack) -> Vec<Option<String>> {
    let mut all = Vec::new();
    for step in &attack.steps {
        if let Deed::Sql(sql) = &step.deed {
            all.push(scene.seen_by_operator(sql).await);
        }
    }
    all
}

fn moved(scene: &Scene, attack: &Attack, door: Door, before: &[Heard], after: &[Heard]) -> bool {
    attack.steps.iter().zip(before.iter().zip(after)).any(|(step, (before, after))| {
        let judged = step.verdict(scene.isolation(), door).unwrap_or_default().contains(&Accept::Unmoved);
        judged && before.comparable() != after.comparable()
    })
}
