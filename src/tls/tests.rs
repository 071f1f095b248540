use super::too_open;

#[test]
fn a_key_is_for_its_owner_and_roots_may_be_read_by_its_group() {
    const ROOT: u32 = 0;
    const SOMEBODY: u32 = 1000;
    for mode in [0o400, 0o600, 0o700] {
        assert_eq!((too_open(mode, ROOT), too_open(mode, SOMEBODY)), (None, None), "{mode:o}");
    }
    for mode in [0o440, 0o640] {
        assert_eq!((too_open(mode, ROOT), too_open(mode, SOMEBODY)), (None, Some("its group")), "{mode:o}");
    }
    for mode in [0o620, 0o660, 0o610] {
        assert_eq!(
            (too_open(mode, ROOT), too_open(mode, SOMEBODY)),
            (Some("its group"), Some("its group")),
            "{mode:o}"
        );
    }
    for mode in [0o604, 0o602, 0o601, 0o644, 0o666, 0o777] {
        assert_eq!(
            (too_open(mode, ROOT), too_open(mode, SOMEBODY)),
            (Some("everybody"), Some("everybody")),
            "{mode:o}"
        );
    }
}
