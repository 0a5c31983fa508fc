import { deployInProcess } from './deployment.ts'
import { defineHttpSuite } from './httpSuite.ts'
import { deployOnNode } from './nodeServer.ts'

defineHttpSuite('edge in process', deployInProcess)
defineHttpSuite('edge on a Node server', deployOnNode)
