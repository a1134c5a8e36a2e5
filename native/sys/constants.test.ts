import { describe, expect, it } from 'vitest';
import * as constants from './constants.ts';
import { askHeaders, type HeaderQuestion, ourValues } from './header-check.ts';
import { direntLayout, openHowLayout, statxLayout } from './at.ts';
import { sockaddrIn6Layout, sockaddrInLayout } from './inet-socket.ts';
import { sockaddrLlLayout } from './packet-socket.ts';
import { siginfoLayout } from './process.ts';
import { sockaddrNlLayout } from './socket.ts';

const question: HeaderQuestion = {
  headers: [
    'sched.h',
    'fcntl.h',
    'signal.h',
    'sys/file.h',
    'sys/socket.h',
    'sys/mount.h',
    'sys/stat.h',
    'sys/wait.h',
    'sys/prctl.h',
    'sys/ioctl.h',
    'sys/syscall.h',
    'netinet/in.h',
    'linux/netlink.h',
    'linux/if_packet.h',
    'linux/stat.h',
    'dirent.h',
    'linux/openat2.h',
    'linux/fs.h',
    'linux/magic.h',
    'linux/xattr.h',
  ],
  constants: Object.keys(constants),
  structs: {
    siginfo_t: siginfoLayout,
    'struct sockaddr_nl': sockaddrNlLayout,
    'struct sockaddr_in': sockaddrInLayout,
    'struct sockaddr_in6': sockaddrIn6Layout,
    'struct sockaddr_ll': sockaddrLlLayout,
    'struct open_how': openHowLayout,
    'struct statx': statxLayout,
    'struct dirent64': direntLayout,
  },
};

const answer = askHeaders(question);

describe.skipIf(answer === undefined)('constants of native/sys (needs gcc and kernel headers)', () => {
  it('are those of the headers', () => {
    if (answer === undefined) return;
    expect(ourValues(question, constants, answer)).toEqual(answer.values);
  });

  it('are nearly all known to the headers', () => {
    // Debian 12 lacks none; an older machine may lack what came later.
    expect(answer?.unknown.length).toBeLessThan(5);
  });
});
