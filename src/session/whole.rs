//! Writes a whole file of the segments of a playlist, one segment in memory at a time: the same packets, bit for bit.

use std::io::{self, Write};

use bytes::Bytes;

use crate::codec::whole::FileType;
use crate::codec::{fmp4, mp4, ogg, ts};

/// The bytes of a segment, by its number.
pub(crate) type Segments<'a> = &'a dyn Fn(usize) -> io::Result<Bytes>;

/// Writes a file of `count` segments; each is read once or twice. `channels` as in the playlist's init segment; `serial` is the
/// number of an Ogg stream.
pub(crate) fn write(
    kind: FileType,
    channels: u8,
    serial: u32,
    count: usize,
    read: Segments<'_>,
    out: &mut dyn Write,
) -> io::Result<()> {
    match kind {
        FileType::Mp4 => write_mp4(channels, count, read, out),
        FileType::Ogg => write_ogg(channels, serial, count, read, out),
    }
}

/// Two passes: what stands in front needs every packet's size.
fn write_mp4(channels: u8, count: usize, read: Segments<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut table = mp4::Table::default();
    if count > 0 && ts::is_ts(&read(0)?) {
        return write_aac(table, count, read, out);
    }
    for number in 0..count {
        table.add(&segment(&read(number)?)?).map_err(io::Error::other)?;
    }
    out.write_all(&table.head(channels))?;
    drop(table);
    for number in 0..count {
        let file = read(number)?;
        for run in segment(&file)?.runs() {
            out.write_all(&file[run])?;
        }
    }
    Ok(())
}

/// The same of segments in MPEG-TS, whose own channels count.
fn write_aac(mut table: mp4::Table, count: usize, read: Segments<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut channels = 1;
    for number in 0..count {
        let segment = ts::read(&read(number)?).map_err(io::Error::other)?;
        table.add_aac(&segment.blocks).map_err(io::Error::other)?;
        channels = segment.channels;
    }
    out.write_all(&table.head_aac(channels))?;
    drop(table);
    for number in 0..count {
        for block in ts::read(&read(number)?).map_err(io::Error::other)?.blocks {
            out.write_all(&block)?;
        }
    }
    Ok(())
}

fn write_ogg(channels: u8, serial: u32, count: usize, read: Segments<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut writer = ogg::Writer::new(channels, serial);
    for number in 0..count {
        let file = read(number)?;
        for sample in segment(&file)?.samples {
            writer.push(&file[sample.range], sample.duration);
        }
        out.write_all(&writer.take())?;
    }
    out.write_all(&writer.finish())
}

fn segment(file: &Bytes) -> io::Result<fmp4::Segment> {
    fmp4::read_segment(file).map_err(io::Error::other)
}
