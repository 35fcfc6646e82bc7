/** ICMPv6 messages (RFC 4443): the header is ICMP's. */

export const ICMP6_UNREACHABLE = 1
export const ICMP6_TOO_BIG = 2
export const ICMP6_TIME_EXCEEDED = 3
export const ICMP6_PARAMETER_PROBLEM = 4
/** Types from here on are no errors (RFC 4443 section 2.1). */
export const ICMP6_INFORMATIONAL = 128
export const ICMP6_ECHO = 128
export const ICMP6_ECHO_REPLY = 129
/** Multicast listener discovery (RFC 2710, RFC 3810). */
export const MLD_QUERY = 130
export const MLD_REPORT_V1 = 131
export const MLD_DONE_V1 = 132
export const MLD_REPORT_V2 = 143
/** Neighbor Discovery (RFC 4861). */
export const ND_ROUTER_SOLICITATION = 133
export const ND_ROUTER_ADVERTISEMENT = 134
export const ND_NEIGHBOR_SOLICITATION = 135
export const ND_NEIGHBOR_ADVERTISEMENT = 136
export const ND_REDIRECT = 137

/** Codes of "destination unreachable" (RFC 4443 section 3.1). */
export const UNREACH6_NO_ROUTE = 0
export const UNREACH6_PROHIBITED = 1
export const UNREACH6_BEYOND_SCOPE = 2
export const UNREACH6_ADDRESS = 3
export const UNREACH6_PORT = 4
