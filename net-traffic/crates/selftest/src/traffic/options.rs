//! Socket options that the crate `nix` lacks.

use nix::{getsockopt_impl, setsockopt_impl, sockopt_impl};

sockopt_impl!(SocketCookie, GetOnly, libc::SOL_SOCKET, libc::SO_COOKIE, u64);
sockopt_impl!(SocketProtocol, GetOnly, libc::SOL_SOCKET, libc::SO_PROTOCOL, libc::c_int);
sockopt_impl!(ZeroCopy, SetOnly, libc::SOL_SOCKET, libc::SO_ZEROCOPY, bool);
// The first eight bytes of struct tcp_info are the same in every kernel; newer kernels append members.
sockopt_impl!(TcpInfoHead, GetOnly, libc::IPPROTO_TCP, libc::TCP_INFO, [u8; 8]);
sockopt_impl!(FastOpenQueue, SetOnly, libc::IPPROTO_TCP, libc::TCP_FASTOPEN, libc::c_int);
