import fs from 'node:fs';

/** What `open` of node:fs/promises gives, whose calls are done when they return. */
export class OpenFile {
  readonly fd: number;

  constructor(fd: number) {
    this.fd = fd;
  }

  async read(
    buffer: Buffer,
    offset = 0,
    length: number = buffer.length - offset,
    position: number | null = null,
  ): Promise<object> {
    return { bytesRead: fs.readSync(this.fd, buffer, offset, length, position), buffer };
  }

  async write(data: string | Uint8Array): Promise<object> {
    return {
      bytesWritten: typeof data === 'string' ? fs.writeSync(this.fd, data) : fs.writeSync(this.fd, data),
    };
  }

  async readFile(options?: BufferEncoding): Promise<string | Buffer> {
    return options === undefined ? fs.readFileSync(this.fd) : fs.readFileSync(this.fd, options);
  }

  async writeFile(data: string | Uint8Array): Promise<void> {
    fs.writeFileSync(this.fd, data);
  }

  async stat(): Promise<fs.Stats> {
    return fs.fstatSync(this.fd);
  }

  async chmod(mode: number): Promise<void> {
    fs.fchmodSync(this.fd, mode);
  }

  async chown(uid: number, gid: number): Promise<void> {
    fs.fchownSync(this.fd, uid, gid);
  }

  async truncate(size = 0): Promise<void> {
    fs.ftruncateSync(this.fd, size);
  }

  /** Nothing of this machine's disc is the world's: what of it survives is a matter of the memory disc. */
  async sync(): Promise<void> {}

  async datasync(): Promise<void> {}

  async close(): Promise<void> {
    fs.closeSync(this.fd);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    fs.closeSync(this.fd);
  }
}
