/** `node end-node.fixture.ts CGROUP RUN DATA`: what `podwright uninstall agent` does without systemd. */
import { systemClock } from '#base/clock.ts';
import { endNode, proveRemains } from '#bin/end-node.ts';

const [cgroup = '', run = '', data = ''] = process.argv.slice(2);
await endNode(proveRemains({ cgroup, run, data, clusterDns: ['10.96.0.10'] }), systemClock);
