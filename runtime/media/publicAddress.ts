import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'

/** The only part of IPv6 that is given out for the public so far. Source: RFC 4291, IANA's address space registry. */
const globalUnicast = ipaddr.IPv6.parseCIDR('2000::/3')

/**
 * Whether an IP address is one of the public Internet: not private, loopback, link-local, shared (CGNAT), for documentation,
 * multicast or reserved, and no IPv4 address in IPv6's clothes (mapped, NAT64, 6to4, Teredo), which may lead to any of these.
 */
export function isPublicAddress(address: string): boolean {
  if (isIP(address) === 0) return false
  const parsed = ipaddr.parse(address)
  if (parsed.range() !== 'unicast') return false
  return parsed instanceof ipaddr.IPv4 || parsed.match(globalUnicast)
}

/** Names that stay on this machine or network, whatever a resolver says of them. */
export function isLocalName(host: string): boolean {
  return /(^|\.)(localhost|local)\.?$/i.test(host)
}
