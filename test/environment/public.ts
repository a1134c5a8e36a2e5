/** `podwright/test`: clusters for the tests of programs outside this repository, documented in docs/client.md. */
export { startCluster, type ClusterOptions, type TestCluster } from './start-cluster.ts';
