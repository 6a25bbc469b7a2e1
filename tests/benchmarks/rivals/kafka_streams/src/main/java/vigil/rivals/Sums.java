package vigil.rivals;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;

/** The running sums of one window. Readings of a patient's metric come in order of time. */
final class Sums {
    private static final int BYTES = 7 * Double.BYTES;

    private long count;
    private double total;
    private double squares;
    private double low = Double.POSITIVE_INFINITY;
    private double high = Double.NEGATIVE_INFINITY;
    private double first;
    private double last;

    Sums add(double value) {
        if (count++ == 0) {
            first = value;
        }
        total += value;
        squares += value * value;
        low = Math.min(low, value);
        high = Math.max(high, value);
        last = value;
        return this;
    }

    byte[] message(String patient, String metric, long start, long end) {
        double mean = total / count;
        double std = Math.sqrt(Math.max(0, squares / count - mean * mean));
        String text = "{\"patient\":\"" + patient + "\",\"metric\":\"" + metric + "\",\"start\":" + start + ",\"end\":" + end
                + ",\"count\":" + count + ",\"mean\":" + mean + ",\"std\":" + std + ",\"min\":" + low + ",\"max\":" + high
                + ",\"first\":" + first + ",\"last\":" + last + "}";
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static Serde<Sums> serde() {
        Serializer<Sums> write = (topic, sums) -> sums == null ? null : ByteBuffer.allocate(BYTES)
                .putLong(sums.count).putDouble(sums.total).putDouble(sums.squares)
                .putDouble(sums.low).putDouble(sums.high).putDouble(sums.first).putDouble(sums.last).array();
        Deserializer<Sums> read = (topic, bytes) -> {
            if (bytes == null) {
                return null;
            }
            ByteBuffer from = ByteBuffer.wrap(bytes);
            Sums sums = new Sums();
            sums.count = from.getLong();
            sums.total = from.getDouble();
            sums.squares = from.getDouble();
            sums.low = from.getDouble();
            sums.high = from.getDouble();
            sums.first = from.getDouble();
            sums.last = from.getDouble();
            return sums;
        };
        return Serdes.serdeFrom(write, read);
    }
}
