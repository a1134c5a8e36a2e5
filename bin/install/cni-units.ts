/** The units of the CNI resident, as text. Pure. */
import { quoteArgument } from './systemd.ts';

export interface CniUnits {
  readonly socket: string;
  readonly service: string;
}

/** systemd.socket(5), systemd.service(5): the resident is there from the first call until nobody calls. */
export function renderCniUnits(options: {
  /** Absolute. */
  readonly program: readonly string[];
  readonly socket: string;
}): CniUnits {
  return {
    socket: `[Unit]
Description=podwright: calls of CNI plugins

[Socket]
ListenStream=${options.socket}
SocketMode=0600
DirectoryMode=0700

[Install]
WantedBy=sockets.target
`,
    service: `[Unit]
Description=podwright: CNI plugins
Requires=podwright-cni.socket

[Service]
ExecStart=${options.program.map(quoteArgument).join(' ')}
Environment=MALLOC_ARENA_MAX=2
OOMScoreAdjust=-900
`,
  };
}
