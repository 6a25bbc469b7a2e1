package vigil.rivals;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.EmitStrategy;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.state.WindowStore;

/**
 * Kafka Streams with its hopping windows, one stream thread.
 *
 * <p>A branch for each metric, because readings are keyed by patient: grouping by patient and metric would send every
 * reading through a repartition topic. Windows are in memory and without a changelog. One Java machine takes the whole
 * topic several times: until its compiler has seen enough readings, and then once more, which alone is measured.
 *
 * <p>Arguments: BOOTSTRAP TOPIC OUTPUT GROUP FOLDER VALUES WARM METRIC:LOW:HIGH,... (an empty limit is none)
 */
public final class Rival {
    private static final Duration SPAN = Duration.ofSeconds(60);
    private static final Duration HOP = Duration.ofSeconds(10);
    private static final Duration GRACE = Duration.ofSeconds(2);

    private static final long WARM_READINGS = 400_000;

    private record Limits(double low, double high) {
        boolean crossed(double value) {
            return value < low || value > high;
        }
    }

    private final String topic;
    private final Map<String, Limits> limits;
    private final long values;
    private final long warm;
    private final boolean measured;
    private final CountDownLatch done = new CountDownLatch(1);
    private long seen; // of the one stream thread

    private Rival(String topic, Map<String, Limits> limits, long values, long warm, boolean measured) {
        this.topic = topic;
        this.limits = limits;
        this.values = values;
        this.warm = warm;
        this.measured = measured;
    }

    public static void main(String[] given) throws InterruptedException {
        String bootstrap = given[0];
        String folder = given[4];
        Map<String, Limits> limits = limits(given[7]);
        long values = Long.parseLong(given[5]);
        long passes = 1 + (WARM_READINGS + values - 1) / values;
        for (long pass = 1; pass <= passes; pass++) {
            boolean measured = pass == passes;
            Rival rival = new Rival(given[1], limits, values, Long.parseLong(given[6]), measured);
            String output = measured ? given[2] : given[2] + "-warm";
            String group = measured ? given[3] : given[3] + "-warm-" + pass;
            KafkaStreams streams = new KafkaStreams(rival.topology(output), settings(bootstrap, group, folder));
            Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(5))));
            streams.start();
            rival.done.await();
            if (measured) {
                Thread.sleep(Long.MAX_VALUE); // the measuring side ends this process
            }
            streams.close();
        }
    }

    private static Map<String, Limits> limits(String text) {
        Map<String, Limits> found = new LinkedHashMap<>();
        for (String entry : text.split(",")) {
            String[] parts = entry.split(":", -1);
            double low = parts[1].isEmpty() ? Double.NEGATIVE_INFINITY : Double.parseDouble(parts[1]);
            double high = parts[2].isEmpty() ? Double.POSITIVE_INFINITY : Double.parseDouble(parts[2]);
            found.put(parts[0], new Limits(low, high));
        }
        return found;
    }

    private static Properties settings(String bootstrap, String group, String folder) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap);
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, group);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, folder);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 1000);
        settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0); // windows are sent once, when they close
        settings.put(StreamsConfig.DSL_STORE_SUPPLIERS_CLASS_CONFIG,
                "org.apache.kafka.streams.state.BuiltInDslStoreSuppliers$InMemoryDslStoreSuppliers");
        settings.put(StreamsConfig.InternalConfig.EMIT_INTERVAL_MS_KSTREAMS_WINDOWED_AGGREGATION, 0L); // not once a second
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 5000);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.COMPRESSION_TYPE_CONFIG), "lz4");
        return settings;
    }

    private Topology topology(String output) {
        Serializer<Reading> unused = (name, reading) -> {
            throw new UnsupportedOperationException("readings are never written");
        };
        Deserializer<Reading> decode = (name, message) -> Reading.decode(message);
        Serde<Reading> readings = Serdes.serdeFrom(unused, decode);
        StreamsBuilder builder = new StreamsBuilder();
        // Kafka's timestamp of a reading is its event time.
        KStream<String, Reading> source = builder.stream(topic, Consumed.with(Serdes.String(), readings))
                .peek((patient, reading) -> took());
        Produced<String, byte[]> produced = Produced.with(Serdes.String(), Serdes.ByteArray());
        source.filter((patient, reading) -> limits.get(reading.metric()).crossed(reading.value()))
                .mapValues(Rival::crossing)
                .to(output, produced);
        TimeWindows windows = TimeWindows.ofSizeAndGrace(SPAN, GRACE).advanceBy(HOP);
        for (String metric : limits.keySet()) {
            source.filter((patient, reading) -> metric.equals(reading.metric()))
                    .groupByKey(Grouped.with(Serdes.String(), readings))
                    .windowedBy(windows)
                    .emitStrategy(EmitStrategy.onWindowClose())
                    .aggregate(Sums::new, (patient, reading, sums) -> sums.add(reading.value()),
                            Materialized.<String, Sums, WindowStore<Bytes, byte[]>>with(Serdes.String(), Sums.serde())
                                    .withLoggingDisabled())
                    .toStream()
                    .map((window, sums) -> KeyValue.pair(window.key(),
                            sums.message(window.key(), metric, window.window().start(), window.window().end())))
                    .to(output, produced);
        }
        return builder.build();
    }

    private static byte[] crossing(Reading reading) {
        String text = "{\"patient\":\"" + reading.patient() + "\",\"metric\":\"" + reading.metric() + "\",\"time\":"
                + reading.time() + ",\"crossed\":" + reading.value() + "}";
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private void took() {
        seen++;
        if (measured && seen == warm) {
            System.out.println("rival: begin " + seen);
        }
        if (seen == values) {
            if (measured) {
                System.out.println("rival: end " + seen);
            }
            done.countDown();
        }
    }
}
