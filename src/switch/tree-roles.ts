/**
 * Port Role Transitions of the spanning tree (IEEE 802.1D-2004 section 17.29): how a port that was given a role comes to learn and to forward, or stops.
 * As in tree-port.ts, each call does at most one transition and says whether it did.
 */
import { TREE } from '../base/switch-config.ts'
import type { TreePort } from './tree-port.ts'

export const TreeRole = { DISABLED: 0, ROOT: 1, DESIGNATED: 2, ALTERNATE: 3, BACKUP: 4 } as const

export function takeRole(port: TreePort): boolean {
  if (!port.selected || port.updtInfo) return false
  if (port.role !== port.selectedRole) {
    port.role = port.selectedRole
    if (port.isRoot) port.rrWhile = port.designatedTimes.forwardDelay
    else if (!port.isDesignated) port.learn = port.forward = false
    return true
  }
  switch (port.role) {
    case TreeRole.ROOT:
      return beRoot(port)
    case TreeRole.DESIGNATED:
      return beDesignated(port)
    default:
      return beBlocked(port)
  }
}

/** Disabled, alternate and backup ports. */
function beBlocked(port: TreePort): boolean {
  if (port.learning || port.forwarding) return false
  const isDisabled = port.role === TreeRole.DISABLED
  const delay = isDisabled ? port.designatedTimes.maxAge : port.forwardDelay
  if (port.fdWhile !== delay || port.sync || port.reRoot || !port.synced || port.rrWhile !== 0) {
    port.fdWhile = delay
    port.synced = true
    port.rrWhile = 0
    port.sync = port.reRoot = false
    return true
  }
  if (isDisabled) return false
  if (answerProposal(port)) return true
  const { helloTime } = port.designatedTimes
  if (port.role !== TreeRole.BACKUP || port.rbWhile === 2 * helloTime) return false
  port.rbWhile = 2 * helloTime
  return true
}

/** What root and alternate ports do when the other side proposes: everybody below first stops, then we agree. */
function answerProposal(port: TreePort): boolean {
  if (port.proposed && !port.agree) {
    for (const other of port.tree.ports) other.sync = true
    port.proposed = false
    return true
  }
  if (!(allSynced(port) && !port.agree) && !(port.proposed && port.agree)) return false
  port.proposed = port.sync = false
  port.agree = true
  port.newInfo = true
  return true
}

function beRoot(port: TreePort): boolean {
  if (answerProposal(port)) return true
  const { forwardDelay } = port.designatedTimes
  if (!port.forward && !port.reRoot) {
    for (const other of port.tree.ports) other.reRoot = true
    return true
  }
  if (port.reRoot && port.forward) {
    port.reRoot = false
    return true
  }
  if (port.rrWhile !== forwardDelay) {
    port.rrWhile = forwardDelay
    return true
  }
  const mayGo = port.fdWhile === 0 || (port.tree.rapid && port.rbWhile === 0 && reRooted(port))
  return mayGo && advance(port)
}

function beDesignated(port: TreePort): boolean {
  if (!port.forward && !port.agreed && !port.proposing && !port.operEdge) {
    port.proposing = true
    port.edgeDelayWhile = port.settings.pointToPoint ? TREE.migrateTime : port.designatedTimes.maxAge
    port.newInfo = true
    return true
  }
  const isQuiet = !port.learning && !port.forwarding
  if (((isQuiet || port.agreed || port.operEdge) && !port.synced) || (port.sync && port.synced)) {
    port.rrWhile = 0
    port.synced = true
    port.sync = false
    return true
  }
  if (port.rrWhile === 0 && port.reRoot) {
    port.reRoot = false
    return true
  }
  const mustStop = (port.sync && !port.synced) || (port.reRoot && port.rrWhile !== 0) || port.disputed
  if (mustStop && !port.operEdge && (port.learn || port.forward)) {
    port.learn = port.forward = port.disputed = false
    port.fdWhile = port.designatedTimes.forwardDelay
    return true
  }
  const mayGo = (port.fdWhile === 0 || port.agreed || port.operEdge) && (port.rrWhile === 0 || !port.reRoot) && !port.sync
  return mayGo && advance(port)
}

/** To learning, then to forwarding. */
function advance(port: TreePort): boolean {
  if (port.forward) return false
  if (!port.learn) {
    port.learn = true
    port.fdWhile = port.forwardDelay
    return true
  }
  port.forward = true
  port.fdWhile = 0
  if (port.isDesignated) port.agreed = port.sendRSTP
  return true
}

function allSynced(port: TreePort): boolean {
  return port.tree.ports.every((p) => p.selected && p.role === p.selectedRole && (p.synced || p.isRoot))
}

function reRooted(port: TreePort): boolean {
  return port.tree.ports.every((p) => p === port || p.rrWhile === 0)
}
