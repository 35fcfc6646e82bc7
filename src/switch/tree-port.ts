/**
 * A port in the spanning tree: the state machines of IEEE 802.1D-2004 clause 17, with that clause's names of variables.
 *
 * Each machine is a method that does at most one transition whose condition holds and says whether it did; the tree calls them until nobody has
 * anything to do (`SpanningTree.settle`). Timers are in whole ticks of a second, as section 17.22 has them.
 */
import { TREE } from '../base/switch-config.ts'
import { type Bpdu, BpduFlag, BpduRole, BpduType, compareVectors, sameTimes, type TreeTimes, type Vector } from './bpdu.ts'
import { TreeRole, takeRole } from './tree-roles.ts'

/** Where what a port knows comes from (17.19.10). */
export const InfoIs = { DISABLED: 0, MINE: 1, AGED: 2, RECEIVED: 3 } as const

/** Port Information machine (17.27): where it rests. */
const Info = { DISABLED: 0, AGED: 1, CURRENT: 2 } as const
/** Port Protocol Migration machine (17.24). */
const Migration = { CHECKING: 0, SELECTING: 1, SENSING: 2 } as const
/** Topology Change machine (17.31). */
const Topology = { INACTIVE: 0, LEARNING: 1, ACTIVE: 2 } as const

/** What a port may be told beforehand. */
export interface TreePortSettings {
  readonly cost: number
  /** Priority and number (17.18.8). */
  readonly id: number
  readonly adminEdge: boolean
  readonly autoEdge: boolean
  readonly pointToPoint: boolean
}

/** The tree as its ports see it. */
export interface Tree {
  readonly ports: readonly TreePort[]
  /** Protocol version 2: false when everything is to be as 802.1D-1998 had it (17.13.4). */
  readonly rapid: boolean
  readonly bridgeTimes: TreeTimes
  transmit(port: TreePort, bpdu: Bpdu): void
  /** Learning and forwarding of the port have changed. */
  stateChanged(port: TreePort): void
  flush(port: TreePort): void
  /** Ways have changed, here or elsewhere. */
  topologyChanged(): void
}

export class TreePort {
  enabled = false
  role: number = TreeRole.DISABLED
  selectedRole: number = TreeRole.DISABLED
  infoIs: number = InfoIs.DISABLED
  selected = false
  reselect = true
  updtInfo = false
  learning = false
  forwarding = false
  operEdge: boolean
  portPriority: Vector
  portTimes: TreeTimes
  designatedPriority: Vector
  designatedTimes: TreeTimes
  synced = false
  sync = true
  reRoot = true
  tcProp = false
  /** Tells the tree that a topology change went through here. */
  tcWhile = 0
  rrWhile: number = TREE.forwardDelay
  sendRSTP: boolean

  private info: number = Info.DISABLED
  private migration: number = Migration.CHECKING
  private topology: number = Topology.INACTIVE
  private msg: Bpdu | null = null
  private rcvdRSTP = false
  private rcvdSTP = false
  private rcvdTc = false
  private rcvdTcn = false
  private rcvdTcAck = false
  private tcAck = false
  agree = false
  agreed = false
  proposed = false
  proposing = false
  disputed = false
  learn = false
  forward = false
  newInfo = true
  private txCount = 0
  edgeDelayWhile = 0
  fdWhile: number = TREE.maxAge
  private helloWhen = 0
  private mdelayWhile: number = TREE.migrateTime
  rbWhile = 0
  private rcvdInfoWhile = 0

  constructor(
    readonly tree: Tree,
    readonly settings: TreePortSettings,
    first: Vector,
  ) {
    this.operEdge = settings.adminEdge
    this.sendRSTP = tree.rapid
    this.portPriority = first
    this.designatedPriority = first
    this.portTimes = tree.bridgeTimes
    this.designatedTimes = tree.bridgeTimes
  }

  /** A BPDU came in (17.23); the tree settles afterwards. */
  receive(bpdu: Bpdu): void {
    if (!this.enabled) return
    if (bpdu.type === BpduType.RST) this.rcvdRSTP = true
    else this.rcvdSTP = true
    this.operEdge = false
    this.msg = bpdu
    this.edgeDelayWhile = TREE.migrateTime
  }

  /** A second has passed (17.22). */
  tick(): void {
    this.edgeDelayWhile = down(this.edgeDelayWhile)
    this.fdWhile = down(this.fdWhile)
    this.helloWhen = down(this.helloWhen)
    this.mdelayWhile = down(this.mdelayWhile)
    this.rbWhile = down(this.rbWhile)
    this.rcvdInfoWhile = down(this.rcvdInfoWhile)
    this.rrWhile = down(this.rrWhile)
    this.tcWhile = down(this.tcWhile)
    this.txCount = down(this.txCount)
  }

  /** Lets each machine do one thing. False: none had anything to do. */
  step(): boolean {
    let did = this.migrate()
    did = this.detectEdge() || did
    did = this.inform() || did
    did = takeRole(this) || did
    did = this.takeState() || did
    did = this.tellChanges() || did
    return this.send() || did
  }

  get isRoot(): boolean {
    return this.role === TreeRole.ROOT
  }

  get isDesignated(): boolean {
    return this.role === TreeRole.DESIGNATED
  }

  /** 17.20.5. */
  get forwardDelay(): number {
    return this.sendRSTP ? this.designatedTimes.helloTime : this.designatedTimes.forwardDelay
  }

  // Port Protocol Migration, 17.24.

  private migrate(): boolean {
    switch (this.migration) {
      case Migration.SENSING:
        if (!this.enabled || (this.tree.rapid && !this.sendRSTP && this.rcvdRSTP)) {
          this.migration = Migration.CHECKING
          this.sendRSTP = this.tree.rapid
          this.mdelayWhile = TREE.migrateTime
          return true
        }
        if (!this.sendRSTP || !this.rcvdSTP) return false
        this.migration = Migration.SELECTING
        this.sendRSTP = false
        this.mdelayWhile = TREE.migrateTime
        return true
      case Migration.CHECKING:
        if (!this.enabled) this.mdelayWhile = TREE.migrateTime
        if (this.mdelayWhile > 0) return false
        break
      default:
        if (this.mdelayWhile > 0 && this.enabled) return false
    }
    this.migration = Migration.SENSING
    this.rcvdRSTP = false
    this.rcvdSTP = false
    return true
  }

  // Bridge Detection, 17.25.

  private detectEdge(): boolean {
    const { adminEdge, autoEdge } = this.settings
    if (this.operEdge) {
      if (this.enabled || adminEdge) return false
      this.operEdge = false
      return true
    }
    const isAlone = this.enabled && autoEdge && this.edgeDelayWhile === 0 && this.sendRSTP && this.proposing
    if (!isAlone && !(adminEdge && !this.enabled)) return false
    this.operEdge = true
    return true
  }

  // Port Information, 17.27.

  private inform(): boolean {
    if (!this.enabled) {
      if (this.info === Info.DISABLED && this.infoIs === InfoIs.DISABLED && this.msg === null) return false
      this.info = Info.DISABLED
      this.infoIs = InfoIs.DISABLED
      this.msg = null
      this.proposing = this.proposed = this.agree = this.agreed = false
      this.rcvdInfoWhile = 0
      this.reconsider()
      return true
    }
    if (this.info === Info.DISABLED) return this.age()
    if (this.selected && this.updtInfo) {
      this.proposing = this.proposed = false
      this.agreed = this.agreed && this.infoIs === InfoIs.MINE && compareVectors(this.designatedPriority, this.portPriority) <= 0
      this.synced = this.synced && this.agreed
      this.portPriority = this.designatedPriority
      this.portTimes = this.designatedTimes
      this.updtInfo = false
      this.infoIs = InfoIs.MINE
      this.newInfo = true
      this.info = Info.CURRENT
      return true
    }
    if (this.info === Info.AGED || this.updtInfo) return false
    if (this.msg !== null) {
      this.hear(this.msg)
      this.msg = null
      return true
    }
    return this.infoIs === InfoIs.RECEIVED && this.rcvdInfoWhile === 0 && this.age()
  }

  private age(): boolean {
    this.info = Info.AGED
    this.infoIs = InfoIs.AGED
    this.reconsider()
    return true
  }

  private reconsider(): void {
    this.reselect = true
    this.selected = false
  }

  /** rcvInfo (17.21.8) and what follows from it. */
  private hear(msg: Bpdu): void {
    if (msg.type === BpduType.TCN) {
      this.rcvdTcn = true
      return
    }
    const role = msg.type === BpduType.CONFIG ? BpduRole.DESIGNATED : msg.flags & BpduFlag.ROLE
    const order = compareVectors(msg.vector, this.portPriority)
    if (role === BpduRole.ROOT || role === BpduRole.ALTERNATE) {
      if (order < 0) return
      // recordAgreement, 17.21.9.
      this.agreed = this.tree.rapid && this.settings.pointToPoint && (msg.flags & BpduFlag.AGREEMENT) !== 0
      if (this.agreed) this.proposing = false
      this.setTcFlags(msg)
      return
    }
    if (role !== BpduRole.DESIGNATED) return
    const isSame = order === 0 && sameTimes(msg.times, this.portTimes)
    if (isSame && this.infoIs === InfoIs.RECEIVED) {
      this.recordProposal(msg)
      this.setTcFlags(msg)
      this.updateInfoWhile()
    } else if (order <= 0 || isSameSpeaker(msg.vector, this.portPriority)) this.believe(msg, order)
    else if (msg.type === BpduType.RST && (msg.flags & BpduFlag.LEARNING) !== 0) {
      // recordDispute, 17.21.10: somebody who should not learns or forwards; what we say does not reach him.
      this.disputed = true
      this.agreed = false
    }
  }

  /** Superior designated information. */
  private believe(msg: Bpdu, order: number): void {
    this.agreed = this.proposing = false
    this.recordProposal(msg)
    this.setTcFlags(msg)
    this.agree = this.agree && this.infoIs === InfoIs.RECEIVED && order <= 0
    this.portPriority = msg.vector
    this.portTimes = msg.times
    this.updateInfoWhile()
    this.infoIs = InfoIs.RECEIVED
    this.reconsider()
  }

  private recordProposal(msg: Bpdu): void {
    if ((msg.flags & BpduFlag.PROPOSAL) !== 0 && msg.type === BpduType.RST) this.proposed = true
  }

  private setTcFlags(msg: Bpdu): void {
    if ((msg.flags & BpduFlag.TOPOLOGY_CHANGE) !== 0) this.rcvdTc = true
    if ((msg.flags & BpduFlag.TOPOLOGY_CHANGE_ACK) !== 0) this.rcvdTcAck = true
  }

  /** updtRcvdInfoWhile, 17.21.23: information that went too far is worth nothing. */
  private updateInfoWhile(): void {
    const { messageAge, maxAge, helloTime } = this.portTimes
    this.rcvdInfoWhile = messageAge + 1 <= maxAge ? 3 * helloTime : 0
  }

  // Port State Transition, 17.30.

  private takeState(): boolean {
    if (this.learning === this.learn && this.forwarding === this.forward) return false
    this.learning = this.learn
    this.forwarding = this.forward
    this.tree.stateChanged(this)
    return true
  }

  // Topology Change, 17.31.

  private tellChanges(): boolean {
    const isActive = this.isRoot || this.isDesignated
    const hasNews = this.rcvdTc || this.rcvdTcn || this.rcvdTcAck || this.tcProp
    switch (this.topology) {
      case Topology.INACTIVE:
        if (!this.learn) return false
        this.topology = Topology.LEARNING
        this.forgetNews()
        return true
      case Topology.LEARNING:
        // Enabled: an edge port that is switched off is no edge any more before it is no designated one, and that is no change of the topology.
        if (isActive && this.enabled && this.forward && !this.operEdge) {
          this.startTcWhile()
          this.propagate()
          this.newInfo = true
          this.topology = Topology.ACTIVE
          return true
        }
        if (hasNews) {
          this.forgetNews()
          return true
        }
        if (isActive || this.learn || this.learning) return false
        this.topology = Topology.INACTIVE
        this.tree.flush(this)
        this.tcWhile = 0
        this.tcAck = false
        return true
      default:
        return this.beActive(isActive)
    }
  }

  private beActive(isActive: boolean): boolean {
    if (!isActive || this.operEdge) {
      this.topology = Topology.LEARNING
      this.forgetNews()
    } else if (this.rcvdTcn || this.rcvdTc) {
      if (this.rcvdTcn) {
        this.startTcWhile()
        if (this.isDesignated) this.tcAck = true
      }
      this.rcvdTcn = this.rcvdTc = false
      this.propagate()
    } else if (this.rcvdTcAck) {
      this.tcWhile = 0
      this.rcvdTcAck = false
    } else if (this.tcProp) {
      this.startTcWhile()
      this.tree.flush(this)
      this.tcProp = false
    } else return false
    return true
  }

  private forgetNews(): void {
    this.rcvdTc = this.rcvdTcn = this.rcvdTcAck = this.tcProp = false
  }

  /** newTcWhile, 17.21.7. */
  private startTcWhile(): void {
    if (this.tcWhile !== 0) return
    const { helloTime, maxAge, forwardDelay } = this.designatedTimes
    this.tcWhile = this.sendRSTP ? helloTime + 1 : maxAge + forwardDelay
    if (this.sendRSTP) this.newInfo = true
  }

  /** setTcPropTree, 17.21.18. */
  private propagate(): void {
    for (const port of this.tree.ports) if (port !== this) port.tcProp = true
    this.tree.topologyChanged()
  }

  // Port Transmit, 17.26.

  private send(): boolean {
    if (!this.enabled || !this.selected || this.updtInfo) return false
    if (this.helloWhen === 0) {
      this.helloWhen = this.designatedTimes.helloTime
      if (this.isDesignated || (this.isRoot && this.tcWhile !== 0)) this.newInfo = true
      return true
    }
    if (!this.newInfo || this.txCount >= TREE.txHoldCount) return false
    if (!this.sendRSTP && !this.isDesignated && !this.isRoot) return false
    this.newInfo = false
    this.txCount++
    const flags = this.tcWhile !== 0 ? BpduFlag.TOPOLOGY_CHANGE : 0
    const { designatedPriority: vector, designatedTimes: times } = this
    if (this.sendRSTP) {
      this.tree.transmit(this, { type: BpduType.RST, flags: flags | this.rapidFlags(), vector, times })
      this.tcAck = false
    } else if (this.isDesignated) {
      const ack = this.tcAck ? BpduFlag.TOPOLOGY_CHANGE_ACK : 0
      this.tree.transmit(this, { type: BpduType.CONFIG, flags: flags | ack, vector, times })
      this.tcAck = false
    } else this.tree.transmit(this, { type: BpduType.TCN, flags: 0, vector, times })
    return true
  }

  private rapidFlags(): number {
    let flags: number = this.isRoot ? BpduRole.ROOT : this.isDesignated ? BpduRole.DESIGNATED : BpduRole.ALTERNATE
    if (this.agree && !this.isDesignated) flags |= BpduFlag.AGREEMENT
    if (this.proposing && this.isDesignated) flags |= BpduFlag.PROPOSAL
    if (this.learning) flags |= BpduFlag.LEARNING
    if (this.forwarding) flags |= BpduFlag.FORWARDING
    return flags
  }
}

function down(timer: number): number {
  return timer > 1 ? timer - 1 : 0
}

/** The same port of the same bridge, whatever their priorities: it may correct itself to the worse (17.6). */
function isSameSpeaker(a: Vector, b: Vector): boolean {
  return a.bridge.slice(4) === b.bridge.slice(4) && (a.port & 0xfff) === (b.port & 0xfff)
}
