/** The units of what answers our CNI programs, as text. Pure. */
import { quoteArgument } from './systemd.ts';

/** A socket of systemd and the service that its first call starts. */
export interface CniService {
  /** Of both units, without their suffixes. */
  readonly name: string;
  readonly description: string;
  /** Absolute. */
  readonly program: readonly string[];
  readonly socket: string;
}

/** systemd.socket(5), systemd.service(5). By the names of the files. */
export function renderCniUnits({
  name,
  description,
  program,
  socket,
}: CniService): ReadonlyMap<string, string> {
  return new Map([
    [
      `${name}.service`,
      `[Unit]
Description=podwright: ${description}
Requires=${name}.socket

[Service]
ExecStart=${program.map(quoteArgument).join(' ')}
Environment=MALLOC_ARENA_MAX=2
OOMScoreAdjust=-900
`,
    ],
    [
      `${name}.socket`,
      `[Unit]
Description=podwright: calls of ${description}

[Socket]
ListenStream=${socket}
SocketMode=0600
DirectoryMode=0700

[Install]
WantedBy=sockets.target
`,
    ],
  ]);
}
