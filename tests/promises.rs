//! The promises, each in a file of its own, kept by the program as a person runs it.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::pedantic,
    clippy::print_stderr,
    clippy::unwrap_used,
    missing_docs,
    reason = "a test says what went wrong by panicking"
)]

mod support;

mod a_careful_start;
mod a_job_can_be_left_alone;
mod a_real_server_is_in_trouble;
mod a_real_server_says_no;
mod a_report_answers;
mod a_report_can_be_handed_on;
mod a_report_says_what_is_not_known;
#[cfg(unix)]
mod a_second_pair_of_eyes;
mod a_stall_ends;
#[cfg(unix)]
mod a_worker_is_watched;
mod addresses_in_other_scripts;
mod an_incident_is_told;
#[cfg(unix)]
mod an_operator_is_told;
#[cfg(all(unix, feature = "postgres"))]
mod an_outbox_can_be_moved;
#[cfg(unix)]
mod approved_elsewhere;
mod at_a_terminal;
mod bad_input_is_refused_at_once;
mod bytes_on_the_wire;
mod complaints_where_nobody_looks;
mod docs_are_true;
mod dry_run_opens_no_socket;
mod each_domain_has_its_limits;
mod each_key_does_what_it_says;
mod each_occurrence_once;
mod every_mistake_in_a_list_is_said;
mod files_reach_one_person;
mod found_in_any_encoding;
mod handlebars_as_defined;
mod help_in_every_shell;
mod html_looks_right;
mod it_is_tried_again_later;
mod jobs_for_schedulers;
mod limits_are_shared;
mod lines_break_at_spaces_alone;
mod lists_as_people_have_them;
#[cfg(unix)]
mod logs_name_nobody;
mod lost_connections_are_opened_again;
mod messages_are_well_formed;
#[cfg(unix)]
mod nobody_approves_their_own;
mod nobody_else_is_in_a_message;
mod nobody_gets_it_twice;
mod one_recipient_each;
mod only_its_link_opens_the_gallery;
mod read_the_same_by_two_parsers;
mod secrets_stay_secret;
mod seen_before_it_is_sent;
mod seen_in_a_browser;
mod sent_when_it_may_be;
mod servers_of_other_makes;
mod several_on_the_way;
mod signatures_verify;
mod starttls_is_safe;
mod stopping;
mod templates_share_pieces;
#[cfg(unix)]
mod the_keyring_keeps_it;
mod the_pace_is_kept;
#[cfg(all(unix, feature = "postgres"))]
mod the_record_can_be_in_postgresql;
mod the_record_holds;
mod the_right_people_are_told;
mod the_sandbox_proves_it;
mod the_way_to_the_server;
#[cfg(unix)]
mod this_machine_is_looked_at_first;
#[cfg(unix)]
mod tokens_are_renewed;
mod values_come_back_intact;
mod what_a_server_may_do;
mod what_the_dns_says_of_a_sender;
mod what_was_prepared_is_sent;
mod what_would_stop_a_run;
#[cfg(unix)]
mod who_must_approve;
mod workbooks;
mod workers_send_together;
