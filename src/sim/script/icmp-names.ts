/** The names of ICMP's types and codes in scripts, those of packetdrill, for both families. */
import type { IcmpSpec } from './ast.ts'
import { skip } from './stop.ts'

type Types = { readonly [name: string]: { type: number; codes?: { readonly [name: string]: number } } }

const UNREACHABLE_CODES: { readonly [name: string]: number } = {
  net_unreachable: 0,
  host_unreachable: 1,
  protocol_unreachable: 2,
  port_unreachable: 3,
  frag_needed: 4,
  source_route_failed: 5,
  net_unknown: 6,
  host_unknown: 7,
  source_host_isolated: 8,
  net_prohibited: 9,
  host_prohibited: 10,
  net_unreachable_for_tos: 11,
  host_unreachable_for_tos: 12,
  packet_filtered: 13,
  precedence_violation: 14,
  precedence_cutoff: 15,
}

const ICMP_TYPES: Types = {
  echo_reply: { type: 0 },
  unreachable: { type: 3, codes: UNREACHABLE_CODES },
  source_quench: { type: 4 },
  redirect: { type: 5 },
  echo_request: { type: 8 },
  time_exceeded: { type: 11, codes: { ttl_exceeded_in_transit: 0, frag_reass_exceeded: 1 } },
  parameter_problem: { type: 12 },
  timestamp_request: { type: 13 },
  timestamp_reply: { type: 14 },
  information_request: { type: 15 },
  information_reply: { type: 16 },
  address_mask_request: { type: 17 },
  address_mask_reply: { type: 18 },
}

const ICMP6_TYPES: Types = {
  unreachable: {
    type: 1,
    codes: {
      no_route: 0,
      net_unreachable: 0,
      admin_prohibited: 1,
      not_neighbour: 2,
      address_unreachable: 3,
      port_unreachable: 4,
    },
  },
  packet_too_big: { type: 2 },
  time_exceeded: { type: 3, codes: { exceeded_hop_limit: 0, exceeded_frag_time: 1 } },
  parameter_problem: { type: 4, codes: { header_field: 0, unknown_next_header: 1, unknown_option: 2 } },
  echo_request: { type: 128 },
  echo_reply: { type: 129 },
}

/** Type and code as numbers. A name that is unknown skips the script. */
export function icmpNumbers(spec: IcmpSpec, v6: boolean): { type: number; code: number } {
  const known = (v6 ? ICMP6_TYPES : ICMP_TYPES)[spec.type]
  const type = known?.type ?? numbered(spec.type)
  if (type === null) return skip(`ICMP${v6 ? 'v6' : ''} type ${spec.type} is not known`)
  const code = spec.code === null ? 0 : (known?.codes?.[spec.code] ?? numbered(spec.code))
  if (code === null) return skip(`ICMP${v6 ? 'v6' : ''} code ${spec.code} is not known`)
  return { type, code }
}

/** `3`, `type_3`, `code_3`. */
function numbered(text: string): number | null {
  const m = /^(?:type_|code_)?(\d+)$/.exec(text)
  return m === null || Number(m[1]) > 255 ? null : Number(m[1])
}
