// A network with batch normalization and a softmax head on the digits; one JSON line an epoch.
// java -cp train.jar Train learning_rate=0.1 momentum=0.9 batch_size=64 units=64 seed=1

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;

public class Train {
    static final int FEATURES = 64, CLASSES = 10, EPOCHS = 9;
    static final double KEEP = 0.9, EPSILON = 1e-3;

    /** A row of weights, and the speed at which each moves. */
    static class Weights {
        final double[][] value, speed;

        Weights(int rows, int columns, double spread, double start, Random random) {
            value = new double[rows][columns];
            speed = new double[rows][columns];
            for (double[] row : value)
                for (int j = 0; j < columns; j++) row[j] = start + spread * random.nextGaussian();
        }

        void move(double[][] gradient, double rate, double momentum) {
            for (int i = 0; i < value.length; i++)
                for (int j = 0; j < value[i].length; j++) {
                    speed[i][j] = momentum * speed[i][j] - rate * gradient[i][j];
                    value[i][j] += speed[i][j];
                }
        }
    }

    final int units;
    final Weights hidden, scale, shift, softmax, bias;
    final double[] averageMean, averageVariance;
    double[] mean, variance;
    double[][] normal, active, answers;

    Train(int units, Random random) {
        this.units = units;
        hidden = new Weights(FEATURES, units, Math.sqrt(2.0 / FEATURES), 0, random);
        scale = new Weights(1, units, 0, 1, random);
        shift = new Weights(1, units, 0, 0, random);
        softmax = new Weights(units, CLASSES, Math.sqrt(1.0 / units), 0, random);
        bias = new Weights(1, CLASSES, 0, 0, random);
        averageMean = new double[units];
        averageVariance = new double[units];
        java.util.Arrays.fill(averageVariance, 1);
    }

    void forward(double[][] x, boolean training) {
        normal = times(x, hidden.value);
        active = new double[x.length][units];
        mean = averageMean.clone();
        variance = averageVariance.clone();
        for (int u = 0; u < units; u++) {
            if (training) {
                mean[u] = variance[u] = 0;
                for (double[] row : normal) mean[u] += row[u] / x.length;
                for (double[] row : normal) variance[u] += Math.pow(row[u] - mean[u], 2) / x.length;
                averageMean[u] = KEEP * averageMean[u] + (1 - KEEP) * mean[u];
                averageVariance[u] = KEEP * averageVariance[u] + (1 - KEEP) * variance[u];
            }
            for (int r = 0; r < x.length; r++) {
                normal[r][u] = (normal[r][u] - mean[u]) / Math.sqrt(variance[u] + EPSILON);
                active[r][u] = Math.max(0, normal[r][u] * scale.value[0][u] + shift.value[0][u]);
            }
        }
        answers = times(active, softmax.value);
        for (double[] row : answers) {
            double largest = Double.NEGATIVE_INFINITY, total = 0;
            for (int c = 0; c < CLASSES; c++) largest = Math.max(largest, row[c] += bias.value[0][c]);
            for (int c = 0; c < CLASSES; c++) total += row[c] = Math.exp(row[c] - largest);
            for (int c = 0; c < CLASSES; c++) row[c] /= total;
        }
    }

    void step(double[][] x, int[] y, double rate, double momentum) {
        forward(x, true);
        double[][] bySoftmax = new double[units][CLASSES], byBias = new double[1][CLASSES];
        double[][] byScale = new double[1][units], byShift = new double[1][units];
        double[][] byHidden = new double[FEATURES][units], byActive = new double[x.length][units];
        for (int r = 0; r < x.length; r++)
            for (int c = 0; c < CLASSES; c++) {
                double wrong = (answers[r][c] - (c == y[r] ? 1 : 0)) / x.length;
                byBias[0][c] += wrong;
                for (int u = 0; u < units; u++) {
                    bySoftmax[u][c] += active[r][u] * wrong;
                    if (active[r][u] > 0) byActive[r][u] += softmax.value[u][c] * wrong;
                }
            }
        for (int u = 0; u < units; u++) {
            for (int r = 0; r < x.length; r++) {
                byShift[0][u] += byActive[r][u];
                byScale[0][u] += byActive[r][u] * normal[r][u];
            }
            double slope = scale.value[0][u] / Math.sqrt(variance[u] + EPSILON);
            for (int r = 0; r < x.length; r++) {
                double throughTheBatch = (byShift[0][u] + normal[r][u] * byScale[0][u]) / x.length;
                double bySum = slope * (byActive[r][u] - throughTheBatch);
                for (int i = 0; i < FEATURES; i++) byHidden[i][u] += bySum * x[r][i];
            }
        }
        softmax.move(bySoftmax, rate, momentum);
        bias.move(byBias, rate, momentum);
        scale.move(byScale, rate, momentum);
        shift.move(byShift, rate, momentum);
        hidden.move(byHidden, rate, momentum);
    }

    static double[][] times(double[][] left, double[][] right) {
        double[][] product = new double[left.length][right[0].length];
        for (int r = 0; r < left.length; r++)
            for (int k = 0; k < right.length; k++)
                for (int c = 0; c < right[0].length; c++) product[r][c] += left[r][k] * right[k][c];
        return product;
    }

    /** Rows of a table whose last column is the label. */
    record Rows(double[][] x, int[] y) {
        static Rows of(String name) throws IOException {
            List<String> lines = Files.readAllLines(Path.of(name));
            Rows rows = new Rows(new double[lines.size()][FEATURES], new int[lines.size()]);
            for (int r = 0; r < lines.size(); r++) {
                String[] cells = lines.get(r).split(",");
                for (int i = 0; i < FEATURES; i++) rows.x[r][i] = Double.parseDouble(cells[i]) / 16;
                rows.y[r] = Integer.parseInt(cells[FEATURES]);
            }
            return rows;
        }

        Rows some(List<Integer> chosen) {
            Rows some = new Rows(new double[chosen.size()][], new int[chosen.size()]);
            for (int i = 0; i < chosen.size(); i++) {
                some.x[i] = x[chosen.get(i)];
                some.y[i] = y[chosen.get(i)];
            }
            return some;
        }
    }

    void report(int epoch, Rows rows) {
        forward(rows.x, false);
        double loss = 0, right = 0;
        for (int r = 0; r < rows.y.length; r++) {
            loss -= Math.log(Math.max(answers[r][rows.y[r]], 1e-12)) / rows.y.length;
            int best = 0;
            for (int c = 1; c < CLASSES; c++) if (answers[r][c] > answers[r][best]) best = c;
            right += best == rows.y[r] ? 1.0 / rows.y.length : 0;
        }
        String line = "{\"epoch\": %d, \"val_loss\": %.6f, \"val_accuracy\": %.6f}%n";
        System.out.printf(Locale.ROOT, line, epoch, loss, right);
    }

    public static void main(String[] given) throws IOException {
        Map<String, String> hp = new HashMap<>();
        for (String each : given) hp.put(each.substring(0, each.indexOf('=')), each.substring(each.indexOf('=') + 1));
        double rate = Double.parseDouble(hp.get("learning_rate")), momentum = Double.parseDouble(hp.get("momentum"));
        int batch = Integer.parseInt(hp.get("batch_size"));
        Random random = new Random(Long.parseLong(hp.get("seed")));
        Rows training = Rows.of("../digits-train.csv"), validation = Rows.of("../digits-validation.csv");
        Train net = new Train(Integer.parseInt(hp.get("units")), random);
        List<Integer> order = new ArrayList<>();
        for (int r = 0; r < training.y.length; r++) order.add(r);
        for (int epoch = 1; epoch <= EPOCHS; epoch++) {
            Collections.shuffle(order, random);
            for (int start = 0; start < order.size(); start += batch) {
                Rows some = training.some(order.subList(start, Math.min(start + batch, order.size())));
                net.step(some.x, some.y, rate, momentum);
            }
            net.report(epoch, validation);
        }
    }
}
