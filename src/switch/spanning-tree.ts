/**
 * The rapid spanning tree (IEEE 802.1D-2004 clause 17): which ports forward, so that there is exactly one way between any two.
 *
 * Theory of operation. Each port knows the best that it has heard on its link (`TreePort.portPriority`); out of those the bridge chooses its root port
 * and says to everybody else what it offers (`selectRoles`). The state machines of the ports do the rest: a designated port proposes, the other side blocks
 * what is below it and agrees, and the link forwards within a round trip; towards an old bridge (Configuration BPDUs) it takes two forward delays. One tree for
 * all VLANs.
 *
 * Time is a tick a second. Everything else happens as BPDUs come.
 */
import { arena } from '../base/arena.ts'
import { hex } from '../base/bytes.ts'
import type { Host, Task, TimerHandle } from '../base/clock.ts'
import { invalidArgument } from '../base/errors.ts'
import { TREE } from '../base/switch-config.ts'
import { HEADROOM } from '../netif/netif.ts'
import { BPDU_FRAME, type Bpdu, compareVectors, readBpdu, sameTimes, type TreeTimes, type Vector, writeBpdu } from './bpdu.ts'
import { P, type PortTree, type SwitchPort } from './port.ts'
import { InfoIs, type Tree, TreePort } from './tree-port.ts'
import { TreeRole } from './tree-roles.ts'

/** The bridge's priority, and the protocol it speaks. */
export interface SpanningTreeOptions {
  /** The least becomes the root: 0 to 61440 in steps of 4096. 32768 when left out. */
  priority?: number
  /** `stp`: as 802.1D-1998, without proposals. `rstp` when left out; a neighbour that speaks only the old protocol is answered in it. */
  version?: 'rstp' | 'stp'
}

/** The switch as its tree sees it. */
export interface TreeSite {
  readonly host: Host
  readonly mac: Uint8Array
  /** Forgets what is behind a port. */
  flushPort(port: SwitchPort): void
  /** Ways have changed. */
  topologyChanged(): void
  /** A BPDU where none may be. */
  guard(port: SwitchPort): void
}

const ROLE_NAMES = ['disabled', 'root', 'designated', 'alternate', 'backup'] as const
/** Rounds after which machines that never come to rest are left to the next tick: more than any tree needs. */
const MAX_ROUNDS = 10_000

/** What the field of a BPDU holds. */
const MAX_COST = 0xffff_ffff

/** What a port is in the tree. */
export interface TreePortSummary {
  role: (typeof ROLE_NAMES)[number]
  state: 'discarding' | 'learning' | 'forwarding'
  edge: boolean
  cost: number
  /** False: the neighbour speaks the old protocol. */
  rapid: boolean
}

/** The two of them: what the switch has, and what the tree keeps. */
class Branch implements PortTree {
  readonly node: TreePort

  constructor(
    private readonly tree: SpanningTree,
    readonly port: SwitchPort,
    first: Vector,
  ) {
    const { pathCost = TREE.pathCost, edge = 'auto', pointToPoint = true } = port.options
    const settings = { cost: pathCost, id: first.port, adminEdge: edge === true, autoEdge: edge === 'auto', pointToPoint }
    this.node = new TreePort(tree, settings, first)
  }

  bpdu(buf: Uint8Array, start: number, end: number): void {
    this.tree.heard(this, readBpdu(buf, start, end))
  }
}

/** The spanning tree of a switch (802.1w): `sw.spanningTree`. */
export class SpanningTree implements Tree, Task {
  readonly rapid: boolean
  readonly bridgeTimes: TreeTimes = {
    messageAge: 0,
    maxAge: TREE.maxAge,
    helloTime: TREE.helloTime,
    forwardDelay: TREE.forwardDelay,
  }
  /** This bridge: 16 digits. */
  readonly id: string
  readonly ports: TreePort[] = []
  private readonly branches: Branch[] = []
  private rootPriority: Vector
  private rootTimes: TreeTimes
  private rootPort: TreePort | null = null
  private timer: TimerHandle = null
  private settling = false
  private readonly frame = arena.take(HEADROOM + BPDU_FRAME)

  /** Throws ERR_INVALID_ARG_VALUE. */
  constructor(
    private readonly site: TreeSite,
    options: SpanningTreeOptions = {},
  ) {
    const { priority = TREE.bridgePriority, version = 'rstp' } = options
    if (!(Number.isInteger(priority) && priority >= 0 && priority <= 61440 && priority % 4096 === 0))
      throw invalidArgument(`the priority of a bridge is 0 to 61440 in steps of 4096, not ${priority}`)
    if (version !== 'rstp' && version !== 'stp') throw invalidArgument(`spanning tree ${version}: rstp or stp expected`)
    this.rapid = version === 'rstp'
    this.id = priority.toString(16).padStart(4, '0') + hex(site.mac)
    this.rootPriority = { root: this.id, cost: 0, bridge: this.id, port: 0 }
    this.rootTimes = this.bridgeTimes
    this.timer = site.host.after(TREE.tickMs, this)
  }

  /** The root's identifier, what the way there costs, and the port that leads there. */
  get root(): { id: string; cost: number; port: string | null } {
    const { root, cost } = this.rootPriority
    return { id: root, cost, port: this.branches.find((b) => b.node === this.rootPort)?.port.name ?? null }
  }

  summary(port: SwitchPort): TreePortSummary | null {
    const node = this.branches.find((b) => b.port === port)?.node
    if (node === undefined) return null
    const { role, learning, forwarding, operEdge, settings, sendRSTP } = node
    const state = forwarding ? 'forwarding' : learning ? 'learning' : 'discarding'
    return { role: ROLE_NAMES[role], state, edge: operEdge, cost: settings.cost, rapid: sendRSTP }
  }

  add(port: SwitchPort): void {
    const { priority = TREE.portPriority } = port.options
    const id = (priority << 8) | (port.index + 1)
    const branch = new Branch(this, port, { root: this.id, cost: 0, bridge: this.id, port: id })
    port.tree = branch
    port.learning = port.forwarding = false
    this.branches.push(branch)
    this.ports.push(branch.node)
    this.enable(port)
  }

  remove(port: SwitchPort): void {
    const i = this.branches.findIndex((b) => b.port === port)
    if (i < 0) return
    this.ports[i].enabled = false
    this.settle()
    this.branches.splice(i, 1)
    this.ports.splice(i, 1)
    port.tree = null
  }

  /** The port was switched on or off. */
  enable(port: SwitchPort): void {
    const node = this.branches.find((b) => b.port === port)?.node
    if (node === undefined) return
    node.enabled = port.isUp
    this.settle()
  }

  heard(branch: Branch, bpdu: Bpdu | null): void {
    const { port, node } = branch
    const n = port.count.values
    // Our own, come back to the very port: a cable with both ends in one place is no neighbour (clause 9.3.4).
    if (bpdu === null || (bpdu.vector.bridge === this.id && bpdu.vector.port === node.settings.id)) {
      n[P.dropBadBpdu]++
      return
    }
    n[P.bpduIn]++
    if (port.options.bpduGuard === true) {
      this.site.guard(port)
      return
    }
    node.receive(bpdu)
    this.settle()
  }

  /** A second. */
  run(): void {
    this.timer = this.site.host.after(TREE.tickMs, this)
    for (const port of this.ports) port.tick()
    this.settle()
  }

  close(): void {
    this.site.host.cancel(this.timer)
  }

  // What ports ask for.

  transmit(node: TreePort, bpdu: Bpdu): void {
    const port = this.branches.find((b) => b.node === node)!.port
    writeBpdu(this.frame, HEADROOM, this.site.mac, bpdu)
    port.count.values[P.bpduOut]++
    port.control(this.frame, HEADROOM, HEADROOM + BPDU_FRAME)
  }

  stateChanged(node: TreePort): void {
    const { port } = this.branches.find((b) => b.node === node)!
    if (node.forwarding && !port.forwarding) port.count.values[P.dot1dStpPortForwardTransitions]++
    port.learning = node.learning
    port.forwarding = node.forwarding
  }

  flush(node: TreePort): void {
    this.site.flushPort(this.branches.find((b) => b.node === node)!.port)
  }

  topologyChanged(): void {
    this.site.topologyChanged()
  }

  /** Runs all machines until none has anything to do. */
  private settle(): void {
    if (this.settling) return
    this.settling = true
    for (let round = 0, busy = true; busy && round < MAX_ROUNDS; round++) {
      busy = false
      for (let i = 0; i < this.ports.length; i++) if (this.ports[i].step()) busy = true
      if (this.ports.some((p) => p.reselect)) {
        for (const port of this.ports) port.reselect = false
        this.selectRoles()
        for (const port of this.ports) port.selected = true
        busy = true
      }
    }
    this.settling = false
  }

  /** updtRolesTree, 17.21.25. */
  private selectRoles(): void {
    let best: Vector = { root: this.id, cost: 0, bridge: this.id, port: 0 }
    let root: TreePort | null = null
    for (const port of this.ports) {
      const { portPriority, settings } = port
      if (port.infoIs !== InfoIs.RECEIVED || portPriority.bridge.slice(4) === this.id.slice(4)) continue
      const way = { ...portPriority, cost: Math.min(portPriority.cost + settings.cost, MAX_COST) }
      const order = compareVectors(way, best)
      if (order > 0 || (order === 0 && root !== null && root.settings.id < settings.id)) continue
      best = way
      root = port
    }
    this.rootPort = root
    this.rootPriority = best
    this.rootTimes = root === null ? this.bridgeTimes : { ...root.portTimes, messageAge: root.portTimes.messageAge + 1 }
    for (const port of this.ports) this.selectRole(port)
  }

  private selectRole(port: TreePort): void {
    const { root, cost } = this.rootPriority
    port.designatedPriority = { root, cost, bridge: this.id, port: port.settings.id }
    port.designatedTimes = { ...this.rootTimes, helloTime: this.bridgeTimes.helloTime }
    const order = compareVectors(port.designatedPriority, port.portPriority)
    let updtInfo = false
    switch (port.infoIs) {
      case InfoIs.DISABLED:
        port.selectedRole = TreeRole.DISABLED
        break
      case InfoIs.AGED:
        updtInfo = true
        port.selectedRole = TreeRole.DESIGNATED
        break
      case InfoIs.MINE:
        port.selectedRole = TreeRole.DESIGNATED
        updtInfo = order !== 0 || !sameTimes(port.portTimes, port.designatedTimes)
        break
      default:
        if (port === this.rootPort) port.selectedRole = TreeRole.ROOT
        else if (order < 0) {
          port.selectedRole = TreeRole.DESIGNATED
          updtInfo = true
        } else {
          const isOwn = port.portPriority.bridge.slice(4) === this.id.slice(4)
          port.selectedRole = isOwn ? TreeRole.BACKUP : TreeRole.ALTERNATE
        }
    }
    port.updtInfo = updtInfo
  }
}
