import { currentRuntime } from '../../server/runtime/current.ts'
import { runtimeContract } from '../contract/runtime.ts'

runtimeContract(await currentRuntime())
