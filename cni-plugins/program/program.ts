/** Our plugins as programs: one file for all of them (bundle.ts), run by itself or kept running for its forwarders. */
import { readFileSync } from 'node:fs';
import { timeoutSignal } from '#base/clock.ts';
import { createSyncNetlink } from '#native/netlink/sync.ts';
import { createSyncNft } from '#native/nft/nft.linux.ts';
import { runDhcpDaemon } from '#cni-plugins/dhcp/run-daemon.ts';
import { answerCall, type ProgramPorts } from './answer-call.ts';
import { callTimeoutMs } from './call-timeout.ts';
import { runResident } from './run-resident.ts';

export { rehearse } from './rehearse.ts';

/**
 * One call: environment and standard input in, standard output and exit code out.
 * @param program the path of the file that was run, whose name is the plugin's type; `resident`: calls that forwarders hand on;
 * `dhcp-daemon`: holds leases
 */
export async function main(program: string): Promise<void> {
  if (program === 'resident') return runResident(createPorts(), process.env);
  if (program === 'dhcp-daemon') return runDhcpDaemon(createSyncNetlink(), process.env);
  const call = { program, env: process.env, stdin: readFileSync(0, 'utf8') };
  const output = await answerCall(call, createPorts(), timeoutSignal(callTimeoutMs));
  process.stdout.write(output.stdout);
  process.exitCode = output.exitCode;
}

function createPorts(): ProgramPorts {
  return { netlink: createSyncNetlink(), nft: createSyncNft() };
}
