import { describe, test } from 'vitest'
import { deployWithHop } from './hopDeployment.ts'
import { defineHttpSuite } from './httpSuite.ts'
import { selfSigned } from './selfSigned.ts'

defineHttpSuite('Node edge, container over h2c', deployWithHop())

const certificate = selfSigned()
if (certificate !== undefined) {
  defineHttpSuite('Node edge, container over TLS h2', deployWithHop(certificate))
} else {
  describe('Node edge, container over TLS h2', () => {
    test.skip('no openssl here to make a certificate with')
  })
}
