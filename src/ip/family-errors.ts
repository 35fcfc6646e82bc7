/** Raising errors about packets of either family. */
import type { ErrorSender } from './ip.ts'
import type { Packet } from './packet.ts'

/** Who raises errors about packets: the one of the packet's family. */
export class FamilyErrors implements ErrorSender {
  v4: ErrorSender | null = null
  v6: ErrorSender | null = null

  unreachable(packet: Packet, kind: number): void {
    this.of(packet)?.unreachable(packet, kind)
  }

  timeExceeded(packet: Packet, reassembly: boolean): void {
    this.of(packet)?.timeExceeded(packet, reassembly)
  }

  parameterProblem(packet: Packet, pointer: number, code: number): void {
    this.of(packet)?.parameterProblem(packet, pointer, code)
  }

  tooBig(packet: Packet, mtu: number): void {
    this.of(packet)?.tooBig(packet, mtu)
  }

  private of(packet: Packet): ErrorSender | null {
    return packet.destination.isV4 ? this.v4 : this.v6
  }
}
