"""The cases of the kernel's selftest, by fixture (``tools/testing/selftests/net/tls.c``).

The docstring of a test names its case as ``fixture.case``, which ``test_catalogue.py`` reads.
"""

__all__ = ["CATALOGUE", "OF_TLS13_ALONE"]

CATALOGUE = {
    "tls_basic": "base_base bad_cipher recseq_wrap rekey_rx rekey_tx disconnect",
    "tls": """
        sendfile send_then_sendfile multi_chunk_sendfile
        recv_max recv_small msg_more cmsg_msg_more msg_more_then_cmsg msg_more_unsent msg_eor
        sendmsg_single sendmsg_fragmented sendmsg_large sendmsg_multiple sendmsg_multiple_stress
        splice_from_pipe splice_more splice_from_pipe2 send_and_splice splice_to_pipe
        splice_cmsg_to_pipe splice_dec_cmsg_to_pipe recv_and_splice peek_and_splice
        splice_to_pipe_small splice_short
        recvmsg_single recvmsg_single_max recvmsg_multiple
        single_send_multiple_recv multiple_send_single_recv single_send_multiple_recv_non_align
        recv_partial recv_nonblock recv_peek recv_peek_multiple recv_peek_multiple_records
        recv_peek_large_buf_mult_recs recv_lowat bidir pollin poll_wait poll_wait_split
        blocking nonblocking
        mutliproc_even mutliproc_readers mutliproc_writers
        mutliproc_sendpage_even mutliproc_sendpage_readers mutliproc_sendpage_writers
        control_msg control_msg_nomerge data_control_data shutdown shutdown_unsent shutdown_reuse
        getsockopt recv_efault
        rekey rekey_fail rekey_peek splice_rekey rekey_peek_splice rekey_getsockopt
        rekey_poll_pending rekey_poll_delay
    """,
    "zero_len": """
        data_data_data data_0ctrl_data 0data_0data_0data 0data_0data_ctrl 0data_0data_0ctrl
        0ctrl_0ctrl_0ctrl 0data_0data_data data_0data_0data
        peek splice
    """,
    "tls_err": """
        bad_rec bad_auth bad_in_large_read bad_cmsg timeo poll_partial_rec epoll_partial_rec
        poll_partial_rec_async oob_pressure
    """,
    "standalone": """
        tls_12_tx_max_payload_len tls_12_tx_max_payload_len_open_rec non_established keysizes
        no_pad tls_v6ops prequeue data_steal
    """,
}

# TLS 1.2 has no next key, which rekey_fail and rekey_getsockopt test; the others are left out.
OF_TLS13_ALONE = {
    "tls.rekey",
    "tls.rekey_peek",
    "tls.splice_rekey",
    "tls.rekey_peek_splice",
    "tls.rekey_poll_pending",
    "tls.rekey_poll_delay",
}
