import { expect, test } from 'vitest'
import { isLocalName, isPublicAddress } from './publicAddress.ts'

test.each([
  '8.8.8.8',
  '1.1.1.1',
  '172.15.255.255',
  '172.32.0.1',
  '2606:4700::1111',
  '2a00:1450::1',
])('%s is public', address => {
  expect(isPublicAddress(address)).toBe(true)
})

test.each([
  ['unspecified', '0.0.0.0', '0.1.2.3', '::'],
  ['private', '10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', 'fd00::1', 'fc00::1'],
  ['loopback', '127.0.0.1', '127.255.0.1', '::1'],
  ['link-local', '169.254.169.254', 'fe80::1', 'fe80::1%eth0', 'fec0::1'],
  ['CGNAT', '100.64.0.1', '100.127.255.255'],
  ['documentation', '192.0.2.1', '198.51.100.1', '203.0.113.1', '2001:db8::1', '3fff::1'],
  ['benchmarks', '198.18.0.1', '2001:2::1'],
  ['multicast', '224.0.0.1', '239.255.255.255', 'ff02::1'],
  ['reserved', '192.0.0.8', '192.88.99.1', '240.0.0.1', '255.255.255.255', '100::1', '4000::1'],
  ['IPv4-mapped', '::ffff:10.0.0.1', '::ffff:8.8.8.8', '::ffff:7f00:1', '::127.0.0.1'],
  ['NAT64', '64:ff9b::a00:1', '64:ff9b:1::1'],
  ['6to4 and Teredo', '2002:7f00:1::', '2001::1'],
  ['no address', 'example.com', '', '1.2.3', '0x7f.1', '127.1'],
])('%s is not public', (_, ...addresses) => {
  expect(addresses.filter(isPublicAddress)).toEqual([])
})

test('local names', () => {
  const local = ['localhost', 'LOCALHOST.', 'a.localhost', 'printer.local', 'a.local.']
  expect(local.every(isLocalName)).toBe(true)
  expect(['localhost.com', 'mylocalhost', 'local.example'].some(isLocalName)).toBe(false)
})
