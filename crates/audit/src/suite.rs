//! Every attack, read from `attacks/`.

use crate::attack::Attack;
use crate::script::{ScriptError, read};

/// The files, by what they are after.
const FILES: [(&str, &str); 14] = [
    ("attacks/settings.attacks", include_str!("../attacks/settings.attacks")),
    ("attacks/strings.attacks", include_str!("../attacks/strings.attacks")),
    ("attacks/identity.attacks", include_str!("../attacks/identity.attacks")),
    ("attacks/sessions.attacks", include_str!("../attacks/sessions.attacks")),
    ("attacks/objects.attacks", include_str!("../attacks/objects.attacks")),
    ("attacks/protocol.attacks", include_str!("../attacks/protocol.attacks")),
    ("attacks/server.attacks", include_str!("../attacks/server.attacks")),
    ("attacks/code.attacks", include_str!("../attacks/code.attacks")),
    ("attacks/rows.attacks", include_str!("../attacks/rows.attacks")),
    ("attacks/locks.attacks", include_str!("../attacks/locks.attacks")),
    ("attacks/statistics.attacks", include_str!("../attacks/statistics.attacks")),
    ("attacks/keys.attacks", include_str!("../attacks/keys.attacks")),
    ("attacks/doors.attacks", include_str!("../attacks/doors.attacks")),
    ("attacks/afterwards.attacks", include_str!("../attacks/afterwards.attacks")),
];

/// All attacks, in the order of the files.
pub fn suite() -> Result<Vec<Attack>, ScriptError> {
    let mut all = Vec::new();
    for (file, text) in FILES {
        all.extend(read(file, text)?);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::FAMILIES;

    #[test]
    fn every_attack_is_readable_and_has_a_title_of_its_own() {
        let all = suite().expect("readable");
        let mut titles = HashSet::new();
        for attack in &all {
            assert!(titles.insert(&attack.title), "two attacks are called {:?}", attack.title);
        }
    }

    #[test]
    fn every_family_is_attacked_or_says_why_not() {
        let all = suite().expect("readable");
        for family in FAMILIES {
            let attacks = all.iter().filter(|attack| attack.family == family.number).count();
            assert_eq!(attacks == 0, !family.elsewhere.is_empty(), "family {} has {attacks} attacks", family.number);
        }
    }
}
